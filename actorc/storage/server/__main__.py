"""``python -m actorc.storage.server``: run a storage server."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from actorc.storage.errors import StorageError

from . import ServerOptions, serve


def main() -> int:
    """Run a server until it is told to stop; return the exit code."""
    parser = _parser()
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        options = ServerOptions(
            data=arguments.data,
            engine=arguments.engine,
            listen=arguments.listen,
            auto_create_buckets=arguments.auto_create_buckets,
        )
        serve(options, endpoint_file=arguments.endpoint_file, linger_lock=arguments.linger_lock)
    except StorageError as error:
        sys.stderr.write(f"{parser.prog}: {error.message}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m actorc.storage.server", description="Run a storage server.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, metavar="DIR", help="directory of the embedded engine")
    where.add_argument("--engine", default="", metavar="URL", help="another engine, such as memory://")
    parser.add_argument(
        "--listen", default="127.0.0.1:9000", metavar="HOST:PORT", help="default %(default)s; port 0: any"
    )
    parser.add_argument("--auto-create-buckets", action="store_true", help="a write to a missing bucket makes it")
    parser.add_argument("--endpoint-file", type=Path, metavar="FILE", help="write the address here as JSON")
    parser.add_argument(
        "--linger-lock", type=Path, metavar="FILE", help="stop when no process holds a shared flock on this file"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
