"""`config`: prints all settings and their origins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import click

from actorc.storage.client_settings import CLIENT, origin_of
from actorc.storage.config import ClientOptions, OriginatedEndpoint
from actorc.storage.setting_lookup import BUILT_IN, Setting
from lucas_storage import settings
from lucas_storage.cli.printing import print_record
from lucas_storage.declared_settings import DEFAULT_STORE, WAYS

_OF_PLUGIN: Final = frozenset(way.name for way in WAYS)
_HIDDEN: Final = "…"


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
            click.echo(f"{name:<20}  {'-' if value is None else value}  ({setting.origin})")


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


def _shown(setting: Setting[Any]) -> str | int | bool | None:
    value = setting.value
    if value is None or value == ():
        return None
    if setting.secret:
        return _HIDDEN
    return str(value) if isinstance(value, Path) else value
