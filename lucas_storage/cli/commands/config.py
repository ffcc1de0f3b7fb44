"""`config`: prints all settings and their origins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import click

from actorc.storage import units
from actorc.storage.client_settings import CLIENT, origin_of
from actorc.storage.config import ClientOptions, OriginatedEndpoint
from actorc.storage.setting_lookup import BUILT_IN, Setting
from actorc.storage.units import shown_size
from lucas_storage import settings
from lucas_storage.cli.printing import print_record, wrapped
from lucas_storage.declared_settings import DEFAULT_STORE, WAYS

_OF_PLUGIN: Final = frozenset(way.name for way in WAYS)
_HIDDEN: Final = "…"
_SIZES: Final = frozenset(way.name for way in WAYS if way.read is units.size)
_TIMES: Final = frozenset(way.name for way in WAYS if way.read is units.seconds)


@click.command()
@click.option("--profile", metavar="NAME", help="Settings of ~/.config/lucas-storage.toml; else STORAGE_PROFILE.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def config(profile: str | None, *, as_json: bool) -> None:
    """Print every setting, secrets aside, and where it comes from."""
    for name, setting in _settings(profile):
        value = _shown(setting)
        if as_json:
            print_record({"name": name, "value": value, "origin": setting.origin})
        else:
            click.echo(wrapped(f"{name:<20}  {_text(name, value)}  ({setting.origin})", 22))


def _settings(profile: str | None) -> Iterator[tuple[str, Setting[Any]]]:
    found = settings.resolve(profile=profile)
    for store, address in found.endpoints.items():
        yield ("endpoint" if store == DEFAULT_STORE else f"endpoints.{store}"), address
    for each in fields(found):
        if each.name not in {"endpoints", "local"}:
            yield each.name, getattr(found, each.name)
    # The endpoint as it was found, so that it is printed even if no client would take it.
    endpoint = OriginatedEndpoint(found.endpoint().value, found.endpoint().origin)
    client = ClientOptions.resolve(endpoint, profile=profile)
    for name in [way.name for way in CLIENT if way.name not in _OF_PLUGIN]:
        value = getattr(client, name)
        # The endpoint file of a server also has whether it uses TLS, so that is then the origin.
        otherwise = client.endpoint_origin if name == "use_ssl" and value else BUILT_IN
        yield name, Setting(value, origin_of(name, profile) or otherwise)


def _text(name: str, value: str | float | bool | None) -> str:
    """Return a value for people, in a form in which the setting can be given."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return f"{value:d}"
    if name in _SIZES and isinstance(value, int):
        return shown_size(value)
    return _duration(value) if name in _TIMES and isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    """Return a length of time in the largest unit of which it is a whole number."""
    units_of_time = (("d", 86_400), ("h", 3600), ("m", 60))
    found = next(((unit, each) for unit, each in units_of_time if seconds and seconds % each == 0), ("s", 1))
    return f"{seconds / found[1]:g}{found[0]}"


def _shown(setting: Setting[Any]) -> str | int | bool | None:
    value = setting.value
    if value is None or value == ():
        return None
    if setting.secret:
        return _HIDDEN
    return str(value) if isinstance(value, Path) else value
