"""The checks of `doctor`: of the installation, the connection and the server, each independent of the others."""

from __future__ import annotations

import platform
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Final

from actorc.storage.errors import NotFoundError, PermissionError, StorageError
from lucas_storage.cli.output.failures import line
from lucas_storage.declared_settings import Settings

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient
    from actorc.storage.models import ServerInfoResult

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"

_NEEDED: Final = ("grpcio", "protobuf")
_PATIENCE: Final = 10.0
"""Seconds for each call."""
_CLOCKS_APART: Final = 60.0
_FOUND: Final = "import actorc.storage as found; print(found.__file__, hasattr(found, 'AsyncStorageClient'))"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The result of one check; its fields are those of the JSON line."""

    about: str
    status: str
    """``ok``, ``warn`` or ``fail``."""
    found: str
    advice: str = ""
    """The next step for the user; empty if there is none."""


def check_machine(settings: Settings) -> Iterator[CheckResult]:
    """Yield the checks that need no server."""
    yield CheckResult(about="python", status=OK, found=platform.python_version())
    requirements = metadata.requires("lucas-storage") or []
    yield from (_version(name, requirements) for name in _NEEDED)
    yield _precedence()
    yield _cache(settings)
    yield _signing(settings)


def check_server(client: StorageClient, origin: str, key_origin: str, bucket: str) -> Iterator[CheckResult]:
    """Yield the checks of a server, the last of which writes a small object and removes it again.

    Args:
        client: Its client.
        origin: Origin of its address.
        key_origin: Origin of its keys.
        bucket: Bucket for the object.
    """
    keys = "" if client.access_key is None else f" with keys of {key_origin}"
    where = f"{client.endpoint}{keys} (from {origin})"
    before = time.time()
    try:
        info = client.server_info()
    except StorageError as error:
        # Without advice: the error has it, and knows more.
        yield CheckResult(about="endpoint", status=FAIL, found=f"{where} gives no answer: {line(error)}")
        return
    now = (before + time.time()) / 2  # the server looked at its clock about halfway through the call
    yield CheckResult(about="endpoint", status=OK, found=where)
    yield _server(info)
    yield _clock(info, now)
    yield _scratch(client, bucket, info)


def _version(name: str, requirements: list[str]) -> CheckResult:
    found = metadata.version(name)
    # From the metadata of the installed package, so that the advice is for this version of it.
    stated = next((text for text in requirements if re.match(rf"{name}\b", text)), name)
    least = re.search(r">=([0-9.]+)", stated)
    if least and _numbers(found) < _numbers(least[1]):
        return CheckResult(about=name, status=FAIL, found=found, advice=f"pip install '{stated}'")
    return CheckResult(about=name, status=OK, found=found)


def _precedence() -> CheckResult:
    """Check which `actorc` another process imports, since importing the plugin has decided it for this one."""
    # With -P, so that a folder `actorc` in the working directory is not found.
    command = [sys.executable, "-P", "-c", _FOUND]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603  # our own code
    where, _, is_ours = done.stdout.strip().rpartition(" ")
    if is_ours == "True":
        return CheckResult(about="actorc", status=OK, found=where)
    found = (
        f"'import actorc.storage' finds {where}, which is upstream's mock and stores nothing"
        if where
        else (f"'import actorc.storage' fails: {done.stderr.strip().rpartition(chr(10))[2]}")
    )
    return CheckResult(
        about="actorc",
        status=FAIL,
        found=found,
        advice="pip install --force-reinstall --no-deps lucas-storage, or import lucas_storage first",
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"[0-9]+", version)[:3]))


def _cache(settings: Settings) -> CheckResult:
    folder, origin = settings.cache_dir.value, settings.cache_dir.origin
    if folder is None:
        return CheckResult(
            about="cache",
            status=FAIL,
            found="no directory, since HOME is not set and this user has no entry in /etc/passwd",
            advice="set LUCAS_STORAGE_CACHE to a directory of yours",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return CheckResult(
            about="cache",
            status=FAIL,
            found=f"{folder} ({origin}) cannot be written to: {error.strerror}",
            advice="set LUCAS_STORAGE_CACHE to a directory of yours",
        )
    return CheckResult(about="cache", status=OK, found=f"{folder} ({origin})")


def _signing(settings: Settings) -> CheckResult:
    key = settings.signing_key
    if key.value:
        return CheckResult(about="signing key", status=OK, found=f"{len(key.value)} (from {key.origin})")
    if settings.pickle.value == "deny":
        return CheckResult(about="signing key", status=OK, found="none, and pickle is turned off")
    return CheckResult(
        about="signing key",
        status=WARN,
        found="none, so objects that only pickle can store are refused",
        advice="set LUCAS_STORAGE_SIGNING_KEY to the same secret everywhere; 'lucas-storage run' makes one",
    )


def _server(info: ServerInfoResult) -> CheckResult:
    durable = "durable" if info["durable"] else "not durable"
    way = "a Unix socket" if info["transport"] == "unix" else "gRPC"
    found = f"version {info['version']}, {info['engine']} engine, reached over {way}, {durable}"
    if info["durable"]:
        return CheckResult(about="server", status=OK, found=found)
    return CheckResult(
        about="server", status=WARN, found=found, advice="serve a directory with --data to keep what is stored"
    )


def _clock(info: ServerInfoResult, now: float) -> CheckResult:
    apart = (info["time"] - datetime.fromtimestamp(now, UTC)).total_seconds()
    found = f"the server's is {apart:+.3f} s from this one"
    if abs(apart) <= _CLOCKS_APART:
        return CheckResult(about="clock", status=OK, found=found)
    return CheckResult(
        about="clock", status=WARN, found=found, advice="set both clocks; signed requests depend on them"
    )


def _scratch(client: StorageClient, bucket: str, info: ServerInfoResult) -> CheckResult:
    # A random key, so that two doctors at the same time do not delete each other's object.
    key = f".doctor/{secrets.token_hex(8)}"
    try:
        if not info["auto_create_buckets"] and not client.bucket_exists(bucket):
            return CheckResult(
                about="bucket",
                status=WARN,
                found=f"{bucket} does not exist",
                advice=f"make it with 'lucas-storage mb {bucket}', or set LUCAS_STORAGE_BUCKET",
            )
        return _round_trip(client, bucket, key)
    except (PermissionError, NotFoundError) as error:
        # A warning: a key without write access is a valid configuration.
        advice = "nothing, if this key is not for writing there; else allow it with 'lucas-storage keys add'"
        return CheckResult(about="bucket", status=WARN, found=f"{bucket} was not tried: {line(error)}", advice=advice)
    except StorageError as error:
        return CheckResult(about="bucket", status=FAIL, found=line(error), advice="look at the log of the server")


def _round_trip(client: StorageClient, bucket: str, key: str) -> CheckResult:
    data = secrets.token_bytes(1024)
    began = time.perf_counter()
    client.put_object(bucket, key, data, timeout=_PATIENCE)
    try:
        same = client.get_object(bucket, key, timeout=_PATIENCE) == data
    finally:
        client.delete_object(bucket, key, timeout=_PATIENCE)
    if not same:
        return CheckResult(about="bucket", status=FAIL, found=f"{bucket} gave other bytes back", advice="report it")
    milliseconds = (time.perf_counter() - began) * 1000
    return CheckResult(about="bucket", status=OK, found=f"{bucket}, written, read and deleted in {milliseconds:.0f} ms")
