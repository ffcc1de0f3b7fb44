"""Where settings come from: argument, `storage_context`, environment, file, default; each field on its own.

Who names no endpoint gets that of the server of the nearest ``.lucas-storage``, if one runs there, with its keys.

This is the only module of the plugin that reads the environment. What it returns is for the process that does the
I/O; it refuses to be pickled.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Generic, NoReturn, TypeAlias, TypeVar

from actorc.storage import local_endpoint, units
from actorc.storage.config import DEFAULT_PORT, local_server
from actorc.storage.errors import InvalidParameterError
from actorc.storage.local_endpoint import LocalEndpoint

from . import limits, setting_types
from .errors import SettingsError, UnknownStoreError
from .signing import SigningKeys

T = TypeVar("T")

DEFAULT_STORE: Final = "default"
BUILT_IN: Final = "built-in default"


@dataclass(frozen=True, slots=True, repr=False)
class Setting(Generic[T]):
    """A value and where it came from."""

    value: T
    origin: str
    """``argument``, ``storage_context``, the name of an environment variable, the path of the file, also of the one in
    which a server of this user told it, or ``built-in default``."""
    secret: bool = False

    def __repr__(self) -> str:
        shown = "…" if self.secret and self.value else repr(self.value)
        return f"{shown} ({self.origin})"

    def __reduce__(self) -> NoReturn:
        _refuse_to_ship()


@dataclass(frozen=True, slots=True)
class _Input:
    """One way to give a setting: its argument name, which is also its name in the file, and its variable."""

    name: str
    variable: str
    read: Callable[[Any], Any]
    """Returns the value; raises ValueError with the rule, without the value."""
    is_path: bool = False


def _from(*inputs: _Input, default: Callable[[], Any], secret: bool = False) -> dict[str, Any]:
    return {"inputs": inputs, "default": default, "secret": secret}


_ENDPOINT: Final = _Input("endpoint", "STORAGE_ENDPOINT", setting_types.text)
_ENDPOINTS: Final = _Input("endpoints", "LUCAS_STORAGE_ENDPOINTS", setting_types.endpoints)
_RESUME: Final = _Input("resume", "LUCAS_STORAGE_RESUME", setting_types.switch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the plugin can be told, each value with its origin. Holds credentials; refuses to be pickled."""

    endpoints: Mapping[str, Setting[str]]
    """Store name to address. The store ``default`` is always there."""
    access_key: Setting[str | None] = field(
        metadata=_from(
            _Input("access_key", "STORAGE_ACCESS_KEY", setting_types.text), default=lambda: None, secret=True
        )
    )
    secret_key: Setting[str | None] = field(
        metadata=_from(
            _Input("secret_key", "STORAGE_SECRET_KEY", setting_types.text), default=lambda: None, secret=True
        )
    )
    store: Setting[str] = field(
        metadata=_from(_Input("store", "LUCAS_STORAGE_STORE", setting_types.store_name), default=lambda: DEFAULT_STORE)
    )
    """Where results go unless a function says otherwise."""
    bucket: Setting[str] = field(
        metadata=_from(
            _Input("bucket", "LUCAS_STORAGE_BUCKET", setting_types.bucket_name), default=lambda: "lucas-artifacts"
        )
    )
    prefix: Setting[str] = field(
        metadata=_from(_Input("prefix", "LUCAS_STORAGE_PREFIX", setting_types.key_prefix), default=lambda: "a")
    )
    """What every artifact's key begins with; a slash follows it."""
    inline_max: Setting[int] = field(
        metadata=_from(_Input("inline_max", "LUCAS_STORAGE_INLINE_MAX", units.size), default=lambda: 64 << 10)
    )
    """Bytes of encoded JSON up to which data travels with the call."""
    cache_dir: Setting[Path | None] = field(
        metadata=_from(
            _Input("cache_dir", "LUCAS_STORAGE_CACHE", setting_types.file_path, is_path=True),
            default=lambda: _base("XDG_CACHE_HOME", ".cache"),
        )
    )
    """Absolute; None if nothing was said and the user has no home directory."""
    cache_max: Setting[int] = field(
        metadata=_from(_Input("cache_max", "LUCAS_STORAGE_CACHE_MAX", units.size), default=lambda: 10 << 30)
    )
    """Bytes."""
    cache_scrub: Setting[float] = field(
        metadata=_from(_Input("cache_scrub", "LUCAS_STORAGE_CACHE_SCRUB", units.seconds), default=lambda: 7 * 86_400.0)
    )
    """Seconds after which a local copy is read again, and compared with its digest, though nothing touched it."""
    max_expansion: Setting[int] = field(
        metadata=_from(
            _Input("max_expansion", "LUCAS_STORAGE_MAX_EXPANSION", setting_types.ratio),
            default=lambda: limits.EXPANSION,
        )
    )
    """How many times as large as its stored bytes a decoded table may be; the first GiB is free."""
    pickle: Setting[str] = field(
        metadata=_from(_Input("pickle", "LUCAS_STORAGE_PICKLE", setting_types.pickle_policy), default=lambda: "signed")
    )
    """``signed`` or ``deny``."""
    signing_key: Setting[tuple[bytes, ...]] = field(
        metadata=_from(
            _Input("signing_key", "LUCAS_STORAGE_SIGNING_KEY", setting_types.secrets),
            _Input("signing_key_file", "LUCAS_STORAGE_SIGNING_KEY_FILE", setting_types.secrets_file, is_path=True),
            default=tuple,
            secret=True,
        )
    )
    """The first key signs, all verify."""
    resume: Setting[bool] = field(metadata=_from(_RESUME, default=lambda: False))
    """Whether every decorated step uses what was kept for its function version and inputs. Within `run` results are
    kept for it anyway, unless this is said to be off."""
    ttl: Setting[float] = field(
        metadata=_from(_Input("ttl", "LUCAS_STORAGE_TTL", units.seconds), default=lambda: 30 * 86_400.0)
    )
    """Seconds for which records of runs, checkpoints and cached results keep their artifacts from being collected."""
    grace: Setting[float] = field(
        metadata=_from(_Input("grace", "LUCAS_STORAGE_GRACE", units.seconds), default=lambda: 48 * 3600.0)
    )
    """Seconds an artifact that nothing reaches is spared; longer than the longest step."""
    progress: Setting[bool] = field(
        metadata=_from(_Input("progress", "LUCAS_STORAGE_PROGRESS", setting_types.switch), default=lambda: True)
    )
    """Whether `run` shows on a terminal how far the steps are."""
    # not LUCAS_STORAGE_PORT, in which Kubernetes tells pods of a service that is called lucas-storage, as a URL
    run_port: Setting[int] = field(
        metadata=_from(_Input("run_port", "LUCAS_STORAGE_RUN_PORT", setting_types.port), default=lambda: DEFAULT_PORT)
    )
    """Of loopback; what the server of ``lucas-storage run`` takes if nobody has it. 0: any."""
    local: LocalEndpoint | None = None
    """The server of this directory, if that is where the store ``default`` is."""

    @property
    def cache_root(self) -> Path:
        """Where local copies lie.

        Raises:
            SettingsError: Nothing says where.
        """
        if self.cache_dir.value is None:
            raise SettingsError(
                "there is no directory for local copies, since HOME is not set and this user has no entry in "
                "/etc/passwd; set LUCAS_STORAGE_CACHE to a directory of yours"
            )
        return self.cache_dir.value

    def endpoint(self, store: str = DEFAULT_STORE) -> Setting[str]:
        """Return the address of a store.

        Raises:
            UnknownStoreError: This process was told no address for it.
        """
        try:
            return self.endpoints[store]
        except KeyError:
            known = ", ".join(sorted(self.endpoints))
            raise UnknownStoreError(
                f"this process has no endpoint for store {store!r} (it knows {known}); set LUCAS_STORAGE_ENDPOINTS"
            ) from None

    def keys(self, store: str = DEFAULT_STORE) -> tuple[str | None, str | None]:
        """Return the access key and the secret key to give to a client of a store; None: it finds its own.

        Those of a local server are for that server alone.

        Raises:
            UnknownStoreError: This process was told no address for it.
        """
        origins = {self.access_key.origin, self.secret_key.origin}
        is_told = self.local is not None and origins == {self.local.origin}
        is_here = self.local is not None and self.endpoint(store).value == self.local.endpoint
        if origins <= {BUILT_IN, "STORAGE_ACCESS_KEY", "STORAGE_SECRET_KEY"} or (is_told and not is_here):
            # the client finds these by itself, and knows what they are for
            return None, None
        return self.access_key.value, self.secret_key.value

    @property
    def signing_keys(self) -> SigningKeys:
        """What signs and verifies here."""
        return SigningKeys(self.signing_key.value, denied=self.pickle.value == "deny")

    def __reduce__(self) -> NoReturn:
        _refuse_to_ship()


def _refuse_to_ship() -> NoReturn:
    raise TypeError(
        "credentials are never shipped to workers; set STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY where the I/O happens"
    )


@dataclass(frozen=True, slots=True)
class _Layer:
    """One place that may give settings."""

    origin: str
    """Empty for the environment, where the variable is the origin."""
    values: Mapping[str, Any]
    by_variable: bool = False

    def find(self, way: _Input) -> tuple[Any, str] | None:
        """Return the value given here in this way, with its origin; None and empty variables give nothing."""
        raw = self.values.get(way.variable if self.by_variable else way.name)
        origin = way.variable if self.by_variable else self.origin
        if raw is None or (self.by_variable and not raw.strip()):
            _anchors.pop(origin, None)
            return None
        try:
            return way.read(self.rooted(way, raw) if way.is_path else raw), origin
        except (ValueError, InvalidParameterError) as error:
            rule = error.message if isinstance(error, InvalidParameterError) else f"it must be {error}"
            name = way.variable if self.by_variable else f"{way.name} of {self.origin}"
            raise SettingsError(f"the setting {name} cannot be used; {rule}") from error

    def rooted(self, way: _Input, raw: object) -> Path:
        """Return a path that means the same wherever this process goes: many tools change the present directory."""
        if not self.by_variable:
            # A file is found from anywhere, so what is written in it is relative to where it lies.
            return setting_types.file_path(raw, Path(self.origin).parent if os.path.isabs(self.origin) else None)  # noqa: PTH117
        if _anchors.get(way.variable, (None,))[0] != raw:
            _anchors[way.variable] = raw, setting_types.file_path(raw)
        return _anchors[way.variable][1]


_anchors: dict[str, tuple[Any, Path]] = {}
"""By variable, what was in it when it was read first, and the path that meant then."""
_CONTEXT: ContextVar[tuple[_Layer, ...]] = ContextVar("lucas_storage_settings", default=())


@contextmanager
def storage_context(**overrides: Any) -> Iterator[None]:
    """Override settings within a ``with`` block, for this thread or task; blocks nest.

    Reaches the driver and what runs in its context; workers resolve their own settings.

    Args:
        overrides: ``endpoint``, ``endpoints``, ``access_key``, ``secret_key``, ``store``, ``bucket``, ``prefix``,
            ``inline_max``, ``cache_dir``, ``cache_max``, ``cache_scrub``, ``max_expansion``, ``pickle``,
            ``signing_key``, ``signing_key_file``, ``resume``, ``ttl``, ``grace``, ``progress``.

    Raises:
        TypeError: There is no such setting.
        SettingsError: A value cannot be used.
    """
    _check_names(overrides)
    layer = _Layer("storage_context", overrides)
    for way in _INPUTS:
        layer.find(way)
        if way.is_path and overrides.get(way.name) is not None:
            overrides[way.name] = setting_types.file_path(overrides[way.name])
    token = _CONTEXT.set((layer, *_CONTEXT.get()))
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def resolve(**overrides: Any) -> Settings:
    """Return the settings as they are now; `overrides` come before everything else, None among them is not given.

    Raises:
        TypeError: There is no such setting.
        SettingsError: A value cannot be used; the message names where it came from.
    """
    _check_names(overrides)
    if any(value is not None for value in overrides.values()):
        return _resolved(_Layer("argument", overrides))
    global _known  # noqa: PLW0603  # what a call asks for again and again, and what hardly ever changes
    state = _state()
    if _known is None or _known[0] != state or _known[1] != _version(_known[2]):
        settings = _resolved()
        key_file = _key_file_path()
        _known = state, _version(key_file), key_file, settings
    return _known[3]


def resuming() -> bool | None:
    """Return what `resume` is now, None if nobody said; cheaply enough to be asked at every call of every function.

    Raises:
        SettingsError: A value cannot be used.
    """
    found = next(filter(None, (layer.find(_RESUME) for layer in _outer_layers())), None)
    return None if found is None else bool(found[0])


def _resolved(*first: _Layer) -> Settings:
    layers = (*first, *_outer_layers())
    named = _all_endpoints(layers)[DEFAULT_STORE]
    is_named = named.origin != BUILT_IN
    local = local_server(tuple(named.value.split(",")) if is_named else ())
    if local is not None:
        layers = _with_local(layers, local, is_named=is_named)
    found = {item.name: _first(item.metadata, layers) for item in fields(Settings) if item.metadata}
    return Settings(endpoints=_all_endpoints(layers), local=local, **found)


def _with_local(layers: tuple[_Layer, ...], local: LocalEndpoint, *, is_named: bool) -> tuple[_Layer, ...]:
    """Add what a local server told; who names no endpoint means its keys, whatever the environment has for others."""
    keys = {"access_key": local.access_key, "secret_key": local.secret_key}
    last = _Layer(local.origin, {"signing_key": local.signing_key})
    if is_named:
        return (*layers, _Layer(local.origin, keys), last)
    at = next(number for number, layer in enumerate(layers) if layer.by_variable)
    return (*layers[:at], _Layer(local.origin, {"endpoint": local.endpoint, **keys}), *layers[at:], last)


def _outer_layers() -> tuple[_Layer, ...]:
    return (*_CONTEXT.get(), _Layer("", os.environ, by_variable=True), _file_layer())


_Version: TypeAlias = tuple[int, int, int] | None
_known: tuple[tuple[Any, ...], _Version, Path | None, Settings] | None = None
"""What the settings depend on, as it was; the key file's version and path; and the settings."""


def _state() -> tuple[Any, ...]:
    variables = tuple(map(os.environ.get, _VARIABLES))
    return _CONTEXT.get(), variables, _version(_file_of(variables)), _local_stamp()


def _local_stamp() -> tuple[object, ...] | None:
    """Return what changes with what a local server tells; None where everything that it could tell is said already."""
    is_told = all(map(os.environ.get, ("STORAGE_ENDPOINT", "STORAGE_ACCESS_KEY", "STORAGE_SECRET_KEY")))
    return None if is_told and any(map(os.environ.get, _SIGNING)) else local_endpoint.stamp()


@lru_cache(maxsize=4)
def _file_of(_variables: tuple[str | None, ...]) -> Path | None:
    base = _base("XDG_CONFIG_HOME", ".config")
    return base and base.with_suffix(".toml")


def _key_file_path() -> Path | None:
    way = next(way for way in _INPUTS if way.name == "signing_key_file")
    for layer in _outer_layers():
        given = layer.values.get(way.variable if layer.by_variable else way.name)
        if given and (not isinstance(given, str) or given.strip()):
            return layer.rooted(way, given)
    return None


def _version(path: Path | None) -> _Version:
    try:
        stat = path.stat() if path else None
    except OSError:
        return None
    return stat and (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def shipped_policy(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what travels to a worker with a function: never a secret, an address or a path.

    Args:
        options: ``store``, ``inline_max`` and ``pickle`` (a bool) as the decorator was given them. What is None takes
            this process's setting, or stays None for the worker to decide if nothing was set here either.
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


def _first(metadata: Mapping[str, Any], layers: tuple[_Layer, ...]) -> Setting[Any]:
    for layer in layers:
        for way in metadata["inputs"]:
            found = layer.find(way)
            if found is not None:
                return Setting(*found, secret=metadata["secret"])
    return Setting(metadata["default"](), BUILT_IN, secret=metadata["secret"])


def _all_endpoints(layers: tuple[_Layer, ...]) -> dict[str, Setting[str]]:
    stores = {DEFAULT_STORE: Setting("localhost:9000", BUILT_IN)}
    for layer in reversed(layers):
        single, several = layer.find(_ENDPOINT), layer.find(_ENDPOINTS)
        if single is not None:
            stores[DEFAULT_STORE] = Setting(*single)
        if several is not None:
            stores.update({store: Setting(address, several[1]) for store, address in several[0].items()})
    return stores


def _file_layer() -> _Layer:
    path = _file_of(tuple(map(os.environ.get, _BASES)))
    version = _version(path)
    return _Layer(str(path or ""), _read_file(path, version) if path and version else {})


@lru_cache(maxsize=4)
def _read_file(path: Path, _at: _Version) -> Mapping[str, Any]:
    tomllib = import_module("tomllib")  # most processes have no file, and start without its milliseconds
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"the settings file {path} cannot be read as TOML; mend it or remove it") from error
    unknown = ", ".join(sorted(values.keys() - _NAMES))
    if unknown:
        raise SettingsError(f"the settings file {path} has unknown names ({unknown}); known are {_KNOWN}")
    return values


def _check_names(overrides: Mapping[str, Any]) -> None:
    unknown = ", ".join(sorted(overrides.keys() - _NAMES))
    if unknown:
        raise TypeError(f"there is no setting {unknown}; known are {_KNOWN}")


def _base(variable: str, default: str) -> Path | None:
    """Return the directory of ours that a variable of the XDG specification names; None if there is no home either."""
    base = Path(os.environ.get(variable, ""))  # one that is not absolute counts as unset, the specification says
    if base.is_absolute():
        return base / "lucas-storage"
    home = setting_types.home()
    return home and home / default / "lucas-storage"


_INPUTS: Final = (_ENDPOINT, _ENDPOINTS, *(way for item in fields(Settings) for way in item.metadata.get("inputs", ())))
_NAMES: Final = frozenset(way.name for way in _INPUTS)
_KNOWN: Final = ", ".join(sorted(_NAMES))
_BASES: Final = ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
_SIGNING: Final = ("LUCAS_STORAGE_SIGNING_KEY", "LUCAS_STORAGE_SIGNING_KEY_FILE")
_VARIABLES: Final = (*(way.variable for way in _INPUTS), *_BASES)
