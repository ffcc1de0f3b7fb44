"""The version of the installed distribution."""

from __future__ import annotations

from functools import cache


@cache
def version() -> str:
    """Return the version of ``lucas-storage``, ``0+unknown`` where only its files are and no distribution."""
    from importlib import metadata  # noqa: PLC0415  # loads a parser of mail, and few processes ask

    try:
        return metadata.version("lucas-storage")
    except metadata.PackageNotFoundError:
        return "0+unknown"
