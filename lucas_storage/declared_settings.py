# ruff: noqa: RUF009  # the function that declares a setting returns a field
"""The settings of the plugin: names, variables, types and defaults, and values that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, NoReturn

from actorc.storage import units
from actorc.storage.config import DEFAULT_PORT, OriginatedEndpoint
from actorc.storage.local_server.local_endpoint import LocalEndpoint
from actorc.storage.rules import check_bucket
from actorc.storage.setting_lookup import BUILT_IN, Declared, Setting, Way, refuse_to_ship
from actorc.storage.setting_types import port, ratio, switch, text, user_directory
from actorc.storage.settings_file import PROFILE

from . import limits, setting_types
from .errors import SettingsError, UnknownStoreError
from .signing import SigningKeys

DEFAULT_STORE: Final = "default"
ENDPOINT: Final = Way("endpoint", "STORAGE_ENDPOINT", text)
ENDPOINTS: Final = Way("endpoints", "LUCAS_STORAGE_ENDPOINTS", setting_types.endpoints)


def _declared(
    name: str, read: Callable[[Any], Any], default: Any = None, *also: Way, variable: str = "", **kind: bool
) -> Any:
    """Return the field of a setting with its own name."""
    way = Way(name, variable or f"LUCAS_STORAGE_{name.upper()}", read, **kind)
    return field(metadata={"declared": Declared((way, *also), default)})


def _cache_dir() -> Path | None:
    return user_directory("XDG_CACHE_HOME", ".cache")


SIGNING_KEY_FILE: Final = Way(
    "signing_key_file", "LUCAS_STORAGE_SIGNING_KEY_FILE", setting_types.secrets_file, secret=True, is_path=True
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, each value with its origin. Holds credentials; refuses to be pickled."""

    endpoints: Mapping[str, Setting[str]]
    """Store name to address. The store ``default`` is always there."""
    profile: Setting[str | None] = field(metadata={"declared": Declared((PROFILE,), None)})
    """Name of the table of the settings file whose settings are used beside those at its top."""
    access_key: Setting[str | None] = _declared("access_key", text, variable="STORAGE_ACCESS_KEY", secret=True)
    secret_key: Setting[str | None] = _declared("secret_key", text, variable="STORAGE_SECRET_KEY", secret=True)
    store: Setting[str] = _declared("store", setting_types.store_name, DEFAULT_STORE)
    """Store of results, unless a function names another one."""
    bucket: Setting[str] = _declared("bucket", check_bucket, "lucas-artifacts")
    prefix: Setting[str] = _declared("prefix", setting_types.key_prefix, "a")
    """Prefix of the key of every artifact, without the slash that follows it."""
    inline_max: Setting[int] = _declared("inline_max", units.size, 64 << 10)
    """Bytes of encoded JSON up to which data travels with the call."""
    cache_dir: Setting[Path | None] = _declared(
        "cache_dir", Path, _cache_dir, variable="LUCAS_STORAGE_CACHE", is_path=True
    )
    """Absolute; None if it is not set and the user has no home directory."""
    cache_max: Setting[int] = _declared("cache_max", units.size, 10 << 30)
    """Bytes."""
    cache_scrub: Setting[float] = _declared("cache_scrub", units.seconds, 7 * 86_400.0)
    """Seconds after which a local copy is read again, and compared with its digest, though nothing touched it."""
    max_expansion: Setting[int] = _declared("max_expansion", ratio, limits.EXPANSION)
    """Largest ratio of a decoded table to its stored bytes; up to 1 GiB is always allowed."""
    pickle: Setting[str] = _declared("pickle", setting_types.pickle_policy, "signed")
    """``signed`` or ``deny``."""
    # Never an access key: everybody who may write to the store has one of those, and could then sign pickles.
    signing_key: Setting[tuple[bytes, ...]] = _declared(
        "signing_key", setting_types.secrets, (), SIGNING_KEY_FILE, secret=True
    )
    """The first key signs, all verify."""
    resume: Setting[bool] = _declared("resume", switch, default=False)
    """Whether every decorated step uses the result recorded for its function version and inputs. Within `run` results
    are recorded in any case, unless this is set to off."""
    ttl: Setting[float] = _declared("ttl", units.seconds, 30 * 86_400.0)
    """Seconds for which records of runs, checkpoints and cached results keep their artifacts from being collected."""
    grace: Setting[float] = _declared("grace", units.seconds, 48 * 3600.0)
    """Seconds for which an unreferenced artifact is kept; longer than the longest step."""
    progress: Setting[bool] = _declared("progress", switch, default=True)
    """Whether `run` shows the progress of steps on a terminal."""
    tracebacks: Setting[str] = _declared("tracebacks", setting_types.traceback_length, "short")
    """``short`` or ``full``: whether errors show the frames of these packages beneath the user's."""
    record_values: Setting[str] = _declared("record_values", setting_types.recorded_values, "all")
    """``all``, ``errors`` or ``none``: whether records of runs hold arguments and errors, errors alone, or neither."""
    openlineage_file: Setting[Path | None] = _declared("openlineage_file", Path, is_path=True)
    """Takes the OpenLineage events of runs, each as a line of JSON."""
    openlineage_url: Setting[str | None] = _declared("openlineage_url", setting_types.http_url)
    """Takes the OpenLineage events of runs, each by a POST."""
    openlineage_key: Setting[str | None] = _declared("openlineage_key", text, secret=True)
    """Sent to that URL as a bearer token."""
    openlineage_namespace: Setting[str] = _declared("openlineage_namespace", text, "lucas")
    """Of the jobs in these events."""
    # Not LUCAS_STORAGE_PORT, which Kubernetes sets to a URL in pods beside a service with the name lucas-storage.
    run_port: Setting[int] = _declared("run_port", port, DEFAULT_PORT)
    """Loopback port of the server of ``lucas-storage run``, if it is free; 0 lets the system choose one."""
    local: LocalEndpoint | None = None
    """The server of this directory, if that is where the store ``default`` is."""

    @property
    def cache_root(self) -> Path:
        """The directory of local copies.

        Raises:
            SettingsError: It is not set, and has no default here.
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
            UnknownStoreError: This process has no address for it.
        """
        try:
            return self.endpoints[store]
        except KeyError:
            known = ", ".join(sorted(self.endpoints))
            raise UnknownStoreError(
                f"this process has no endpoint for store {store!r} (it knows {known}); set LUCAS_STORAGE_ENDPOINTS, or "
                f"put a store before it if it is a bucket, as in lucas://{DEFAULT_STORE}/BUCKET/KEY"
            ) from None

    def client_endpoint(
        self, store: str = DEFAULT_STORE, argument: str = "the endpoint argument"
    ) -> OriginatedEndpoint | None:
        """Return the address of a store to give to a client, with its origin for errors; None: it finds its own.

        Args:
            store: Logical name of the store.
            argument: How errors call an argument.

        Raises:
            UnknownStoreError: This process was told no address for it.
        """
        told = self.endpoint(store)
        origin = argument if told.origin == "argument" else told.origin
        return None if origin == BUILT_IN else OriginatedEndpoint(told.value, origin)

    @property
    def client_profile(self) -> str | None:
        """The profile to give to a client; None: it finds its own."""
        return None if self.profile.origin == PROFILE.variable else self.profile.value

    def keys(self, store: str = DEFAULT_STORE) -> tuple[str | None, str | None]:
        """Return the access key and the secret key to give to a client of a store; None: it finds its own.

        Those of a local server are for that server alone.

        Raises:
            UnknownStoreError: This process has no address for it.
        """
        origins = {self.access_key.origin, self.secret_key.origin}
        is_from_local = self.local is not None and origins == {self.local.origin}
        is_here = self.local is not None and self.endpoint(store).value == self.local.endpoint
        if origins <= {BUILT_IN, "STORAGE_ACCESS_KEY", "STORAGE_SECRET_KEY"} or (is_from_local and not is_here):
            # The client finds these itself, and uses those of a server for that server only.
            return None, None
        return self.access_key.value, self.secret_key.value

    @property
    def signing_keys(self) -> SigningKeys:
        """The keys that sign and verify in this process."""
        return SigningKeys(self.signing_key.value, denied=self.pickle.value == "deny")

    def __reduce__(self) -> NoReturn:
        refuse_to_ship()


DECLARED: Final[Mapping[str, Declared]] = {
    each.name: each.metadata["declared"] for each in fields(Settings) if each.metadata
}
"""By the name of the field, every setting but the endpoints."""
WAYS: Final = (ENDPOINT, ENDPOINTS, *(way for each in DECLARED.values() for way in each.ways))
"""Every name under which a setting can be given."""
