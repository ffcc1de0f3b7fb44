"""``python -m actorc.storage.server``: run a storage server."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from actorc.storage.errors import StorageError
from actorc.storage.local_directory import DIRECTORY

from . import serve
from .options import OPTIONS, Option, options_from


def main() -> int:
    """Run a server until it is told to stop; return the exit code."""
    parser = _parser()
    arguments = vars(parser.parse_args())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    config = arguments.pop("config")
    ways = {name: arguments.pop(name) for name in ("endpoint_file", "linger_lock", "private")}
    try:
        serve(options_from(arguments, config, data=Path(DIRECTORY)), **ways)
    except StorageError as error:
        sys.stderr.write(f"{parser.prog}: {error.message}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m actorc.storage.server", description="Run a storage server.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="options in TOML; those given here come first")
    for option in OPTIONS:
        _add(parser, option)
    parser.add_argument("--endpoint-file", type=Path, metavar="FILE", help="write the address here as JSON")
    parser.add_argument(
        "--linger-lock", type=Path, metavar="FILE", help="stop when no process holds a shared flock on this file"
    )
    parser.add_argument(
        "--private", action="store_true", help="let nobody in but this user's programs, which find a key by themselves"
    )
    return parser


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    if option.kind is bool:
        parser.add_argument(option.flag, action=argparse.BooleanOptionalAction, default=None, help=option.meaning)
        return
    default = "" if option.default in {None, ""} else f" Default {option.default}."
    parser.add_argument(option.flag, type=option.kind, metavar=option.metavar, help=option.meaning + default)


if __name__ == "__main__":
    sys.exit(main())
