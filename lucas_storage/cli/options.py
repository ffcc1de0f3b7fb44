"""Options that several commands share."""

from __future__ import annotations

import click

jobs_option = click.option(
    "-j", "--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="How many are copied at once."
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Tell of failures only.")
human_option = click.option(
    "-H", "--human", "readable", is_flag=True, help="Sizes as people read them, such as 1.5 MiB."
)
no_clobber_option = click.option("-n", "--no-clobber", is_flag=True, help="Do not replace what is there.")
interactive_option = click.option("-i", "--interactive", is_flag=True, help="Ask before anything is replaced.")
