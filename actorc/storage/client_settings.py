"""The settings of a client: argument, environment, settings file; each value remembers its origin.

`settings_file` has the order in which they are looked up. Beside it, the only module of the client that reads the
environment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from . import setting_types
from .setting_lookup import Declared, Place, Setting, Way, environment
from .settings_file import PROFILE, chain

KEY_ENDPOINT: Final = "STORAGE_KEY_ENDPOINT"
"""Variable with the endpoint that the keys in the environment are for, in each way it may be written, separated by
spaces; not set: they are for every endpoint."""


def _way(name: str, read: Callable[[Any], Any] = setting_types.as_it_is, **kind: bool) -> Way:
    return Way(name, f"STORAGE_{name.upper()}", read, **kind)


CLIENT: Final = (
    _way("endpoint"),  # checked where its origin is known
    _way("access_key", setting_types.unchanged_text, secret=True),
    _way("secret_key", setting_types.unchanged_text, secret=True),
    _way("use_ssl", setting_types.switch),
    *(_way(name, is_path=True) for name in ("ca_file", "cert_file", "key_file")),
    _way("http_endpoint", setting_types.unchanged_text),
    _way("local", setting_types.switch),
)
"""The settings of a client that the environment and the settings file may have."""
_WAYS: Final = {way.name: way for way in (*CLIENT, _way("key_endpoint"))}


class Keys(NamedTuple):
    """The keys that were found for a client."""

    access: Setting[str | None]
    secret: Setting[str | None]
    are_arguments: bool
    """Whether the caller gave one of them."""


class ToldSettings:
    """All that a caller, the environment and the settings file say about a client."""

    def __init__(self, profile: str | None) -> None:
        self._places = chain((Place("the profile argument", {PROFILE.name: profile}), environment()))

    def setting(self, name: str, argument: Any = None) -> Setting[Any]:
        """Return the value of the first place that has one, with its origin; None if none has."""
        return _found(name, argument, self._places)

    def keys(self, access: str | None, secret: str | None, endpoints: tuple[str, ...]) -> Keys:
        """Return the keys for some endpoints; those in the environment may be for others only."""
        meant = self.setting("key_endpoint").value
        is_for_others = bool(meant) and ",".join(endpoints) not in meant.split()
        places = tuple(place for place in self._places if place.origin or not is_for_others)
        return Keys(_found("access_key", access, places), _found("secret_key", secret, places), bool(access or secret))


def _found(name: str, argument: Any, places: tuple[Place, ...]) -> Setting[Any]:
    # Of arguments, an empty text and False are defaults, but for `local`, whose default is None.
    given = argument if name == "local" else argument or None
    return Declared((_WAYS[name],), None).find((Place(f"the {name} argument", {name: given}), *places))


def origin_of(name: str, profile: str | None = None) -> str | None:
    """Return the origin of the setting `name` of a client; None if it is not set."""
    given = ToldSettings(profile).setting(name)
    return None if given.value is None else given.origin
