"""Resolution of settings: from argument, `storage_context`, environment, file or default, each setting on its own.

`actorc.storage.settings_file` has the order, which is that of a client, and the profiles.

Without a configured endpoint, it is that of the server of the nearest ``.lucas-storage``, if one runs, with its keys.
The result is for the process that does the I/O, and refuses to be pickled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from actorc.storage import settings_file
from actorc.storage.client_settings import CLIENT
from actorc.storage.config import DEFAULT_ENDPOINT, local_server
from actorc.storage.context_variables import bound
from actorc.storage.local_server import local_endpoint
from actorc.storage.local_server.local_endpoint import LocalEndpoint
from actorc.storage.setting_lookup import BUILT_IN, Place, Setting, Variables, environment
from actorc.storage.settings_file import PROFILE, Profile, Version, version

from . import _tracebacks
from .declared_settings import DECLARED, DEFAULT_STORE, ENDPOINT, ENDPOINTS, SIGNING_KEY_FILE, WAYS, Settings
from .errors import SettingsError

_CONTEXT: ContextVar[tuple[Place, ...]] = ContextVar("lucas_storage_settings", default=())


@contextmanager
def storage_context(**overrides: Any) -> Iterator[None]:
    """Override settings within a ``with`` block, for this thread or task; blocks nest.

    It holds on the driver, and on threads that run in a copy of its context; workers resolve their own settings.

    Args:
        overrides: ``endpoint``, ``endpoints``, ``access_key``, ``secret_key``, ``store``, ``bucket``, ``prefix``,
            ``inline_max``, ``cache_dir``, ``cache_max``, ``cache_scrub``, ``max_expansion``, ``pickle``,
            ``signing_key``, ``signing_key_file``, ``resume``, ``ttl``, ``grace``, ``progress``, ``tracebacks``,
            ``record_values``, ``openlineage_file``, ``openlineage_url``, ``openlineage_key``,
            ``openlineage_namespace``, and ``profile``, the name of a table of ``~/.config/lucas-storage.toml`` with
            values for those that are not given here.

    Raises:
        TypeError: There is no such setting.
        SettingsError: A value cannot be used, or there is no such profile.
    """
    _check_names(overrides)
    place = Place("storage_context", overrides, SettingsError)
    # Checked, and paths made absolute, here and not where they are used, which may be in another directory.
    for way in WAYS:
        if place.find(way) is not None and way.is_path:
            overrides[way.name] = place.rooted(way, overrides[way.name])
    settings_file.chain((place,), SettingsError)
    with bound(_CONTEXT, (place, *_CONTEXT.get())):
        yield


def context_overrides() -> list[dict[str, Any]]:
    """Return the arguments of every `storage_context` around this point, the outermost first; secrets among them."""
    return [dict(place.values) for place in reversed(_CONTEXT.get())]


def surrounding() -> object:
    """Return an object that is the same one within the same `storage_context`, and outside of any."""
    return _CONTEXT.get()


def resolve(**overrides: Any) -> Settings:
    """Return the settings as they are now; `overrides` come before everything else, None among them is not given.

    Raises:
        TypeError: There is no such setting.
        SettingsError: A value cannot be used; the message names where it came from.
    """
    _check_names(overrides)
    if any(value is not None for value in overrides.values()):
        return _resolved(Place("argument", overrides, SettingsError))
    # Every call of a decorated function asks, and the answer rarely changes: comparing what it depends on is cheaper.
    global _known  # noqa: PLW0603
    state = _state()
    if _known is None or _known[0] != state or _known[1] != version(_known[2]):
        settings = _resolved()
        key_file = _key_file_path()
        _known = state, version(key_file), key_file, settings
    return _known[3]


def built_in(**overrides: Any) -> Settings:
    """Return the default settings with `overrides`; nothing of this process is looked at, be it a variable or a file.

    Raises:
        TypeError: There is no such setting.
        SettingsError: A value cannot be used.
    """
    _check_names(overrides)
    places = (Place("argument", overrides, SettingsError),)
    found = {name: each.find(places) for name, each in DECLARED.items()}
    return Settings(endpoints=_all_endpoints(places), local=None, **found)


class StepSettings:
    """The settings of which every call of every function asks, as they were when the call began.

    Each is read when it is asked for, so that a wrong value is an error of those alone who need it.
    """

    def __init__(self, places: tuple[Place, ...]) -> None:
        self._places = places

    @cached_property
    def resume(self) -> bool | None:
        """The setting `resume`; None if it is not set.

        Raises:
            SettingsError: The value cannot be used.
        """
        found = DECLARED["resume"].find(self._places)
        return None if found.origin == BUILT_IN else bool(found.value)

    @cached_property
    def inline_max(self) -> int:
        """The setting `inline_max`.

        Raises:
            SettingsError: The value cannot be used.
        """
        return int(DECLARED["inline_max"].find(self._places).value)

    @cached_property
    def store(self) -> str:
        """The setting `store`.

        Raises:
            SettingsError: The value cannot be used.
        """
        return str(DECLARED["store"].find(self._places).value)


def of_step() -> StepSettings:
    """Return the settings of a call that begins now; at a fraction of the cost of `resolve`.

    Raises:
        SettingsError: The settings file cannot be read.
    """
    global _of_step  # noqa: PLW0603
    variables = _OF_STEP.now()
    state = (_CONTEXT.get(), variables, version(settings_file.path_for(variables[-2:])))
    known = _of_step
    if known is None or known[0] != state:
        # The variables as they are now: the environment may be another one when a value is asked for.
        present = Place("", dict(zip(_STEP_VARIABLES, variables, strict=True)), SettingsError)
        known = _of_step = state, StepSettings(settings_file.chain((*state[0], present), SettingsError))
    return known[1]


def _resolved(*first: Place) -> Settings:
    places = _places(*first)
    named = _all_endpoints(places)[DEFAULT_STORE]
    is_named = named.origin != BUILT_IN
    local = local_server(tuple(named.value.split(",")) if is_named else ())
    if local is not None:
        places = _with_local(places, local, is_named=is_named)
    found = {name: each.find(places) for name, each in DECLARED.items()}
    return Settings(endpoints=_all_endpoints(places), local=local, **found)


def _with_local(places: tuple[Place, ...], local: LocalEndpoint, *, is_named: bool) -> tuple[Place, ...]:
    """Return the places with the endpoint and the keys of a local server among them."""
    at = len(places)
    if not is_named:
        # Before the environment, whose keys may be those of another server, as those of a profile are.
        at = next(number for number, place in enumerate(places) if not place.origin)
        if local.access_key:
            places = tuple(each.without_keys() if isinstance(each, Profile) else each for each in places)
    keys = {"endpoint": local.endpoint, "access_key": local.access_key, "secret_key": local.secret_key}
    last = Place(local.origin, {"signing_key": local.signing_key}, SettingsError)
    return (*places[:at], Place(local.origin, keys, SettingsError), *places[at:], last)


def _places(*first: Place) -> tuple[Place, ...]:
    return settings_file.chain((*first, *_CONTEXT.get(), environment(SettingsError)), SettingsError)


_of_step: tuple[tuple[Any, ...], StepSettings] | None = None
"""The state on which the settings of steps depend, as it was, and these settings."""
_known: tuple[tuple[Any, ...], Version, Path | None, Settings] | None = None
"""The state that the settings depend on, as it was; version and path of the key file; and the settings.

Without a lock: threads that come at the same time resolve the same settings twice."""


def _state() -> tuple[Any, ...]:
    variables = _ASKED.now()
    return _CONTEXT.get(), variables, version(settings_file.path_for(variables[-2:])), _local_stamp()


def _local_stamp() -> tuple[object, ...] | None:
    """Return the stamp of the local server's file; None if the environment has everything that the file could add."""
    is_complete = all(_ADDRESS.now()) and any(_SIGNING.now())
    return None if is_complete else local_endpoint.stamp()


def _key_file_path() -> Path | None:
    given = ((place, place.raw(SIGNING_KEY_FILE)) for place in _places())
    return next((place.rooted(SIGNING_KEY_FILE, raw) for place, raw in given if raw), None)


def variables_of(profile: str) -> list[str]:
    """Return the variables of all settings that a profile has.

    Raises:
        SettingsError: There is no such profile.
    """
    named = Place("argument", {PROFILE.name: profile}, SettingsError)
    _, found, _ = settings_file.chain((named,), SettingsError)
    # One that names its key file must not be signed with the key of a variable.
    return [way.variable for each in _ALL for way in each if any(other.name in found.values for other in each)]


def _has_full_tracebacks() -> bool:
    try:
        return resolve().tracebacks.value == "full"
    except Exception:  # noqa: BLE001  # asked while an error is shown, which is perhaps this one
        return False


_tracebacks.full_if(_has_full_tracebacks)


def shipped_policy(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are shipped to a worker with a function: never a secret, an address or a path.

    Args:
        options: ``store``, ``inline_max`` and ``pickle`` (a bool) of the decorator. One that is None takes the setting
            of this process, or stays None for the worker to decide if it is not set here either.
    """
    settings = resolve()
    here: dict[str, Setting[Any]] = {
        "store": settings.store,
        "inline_max": settings.inline_max,
        "pickle": Setting(settings.pickle.value != "deny", settings.pickle.origin),
        "resume": settings.resume,
    }
    chosen = {name: setting.value for name, setting in here.items() if setting.origin != BUILT_IN}
    return {**options, **{name: value for name, value in chosen.items() if options.get(name) is None}}


def _all_endpoints(places: tuple[Place, ...]) -> dict[str, Setting[str]]:
    stores = {DEFAULT_STORE: Setting(DEFAULT_ENDPOINT, BUILT_IN)}
    # From the last place to the first, so that each store has the address of the place that comes first.
    for place in reversed(places):
        single, several = place.find(ENDPOINT), place.find(ENDPOINTS)
        if single is not None:
            stores[DEFAULT_STORE] = single
        if several is not None:
            # The address of a client names where that had it from, which tells more than where it was handed on.
            origins = {store: getattr(address, "origin", several.origin) for store, address in several.value.items()}
            stores.update({store: Setting(address, origins[store]) for store, address in several.value.items()})
    return stores


def _check_names(overrides: Mapping[str, Any]) -> None:
    unknown = ", ".join(sorted(overrides.keys() - _NAMES))
    if unknown:
        raise TypeError(f"there is no setting {unknown}; known are {_KNOWN}")


_NAMES: Final = frozenset(way.name for way in WAYS)
_KNOWN: Final = ", ".join(sorted(_NAMES))
_ALL: Final = (*(each.ways for each in DECLARED.values()), (ENDPOINT,), (ENDPOINTS,), *((way,) for way in CLIENT))
_ADDRESS: Final = Variables(("STORAGE_ENDPOINT", "STORAGE_ACCESS_KEY", "STORAGE_SECRET_KEY"))
_SIGNING: Final = Variables([way.variable for way in DECLARED["signing_key"].ways])
_STEP_VARIABLES: Final = (
    *(way.variable for name in ("resume", "inline_max", "store") for way in DECLARED[name].ways),
    PROFILE.variable,
    *settings_file.BASES,
)
_OF_STEP: Final = Variables(_STEP_VARIABLES)
_ASKED: Final = Variables([*(way.variable for way in WAYS), "XDG_CACHE_HOME", *settings_file.BASES])
