"""Candidates for what is being typed, from a server that runs: none is started, and one that is slow is left alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from lucas_storage.cli.session import Session
from lucas_storage.cli.uris import SCHEME, Target, parse
from lucas_storage.declared_settings import DEFAULT_STORE

if TYPE_CHECKING:
    from actorc.storage.client import StorageClient

_PATIENCE: Final = 1.0
"""Seconds for a call; a person who waits longer types the name."""
_MOST: Final = 200
"""Candidates of one level; a shell asks before it prints more."""
_HALF_CODE: Final = re.compile(r"%[0-9A-Fa-f]?$")


def buckets(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """Return the buckets, without a slash behind their names."""
    with _client(ctx) as client:
        names = _buckets(client) if client else []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def objects(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """Return what continues a name of a bucket, a prefix or an object."""
    if incomplete.startswith(SCHEME):
        return _with_scheme(ctx, incomplete)
    with _client(ctx) as client:
        if client is None:
            return []
        bucket, slash, key = incomplete.partition("/")
        if not slash:
            found = [f"{name}/" for name in _buckets(client)]
        else:
            found = [f"{bucket}/{each}" for each in _level(client, bucket, key)]
    return [CompletionItem(each) for each in found if each.startswith(incomplete)]


def places(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """Return what continues a ``lucas://`` name, or else that files are meant."""
    if incomplete.startswith(SCHEME):
        return _with_scheme(ctx, incomplete)
    begun = [CompletionItem(f"{SCHEME}{DEFAULT_STORE}/")] if incomplete and SCHEME.startswith(incomplete) else []
    return [*begun, CompletionItem(incomplete, type="file")]


def runs(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """Return the ids of runs, the latest first, and ``last``; where a command may stand, ``diff`` as well."""
    from lucas_storage.records import record_store  # noqa: PLC0415  # loads the formats

    words = {"last": "the latest"} | ({"diff": "how two runs differ"} if ctx.info_name == "runs" else {})
    found = [CompletionItem(word, help=told) for word, told in words.items() if word.startswith(incomplete)]
    ids = sorted(_records(ctx, record_store.RUNS), reverse=True)
    return [*found, *(CompletionItem(each) for each in ids if each.startswith(incomplete.upper()))]


def steps(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """Return the functions of the run that is named, with a number where there are several steps of one."""
    from lucas_storage.records import record_store, record_text, run_history  # noqa: PLC0415  # as above

    named = ctx.params["run"]
    ids = sorted(_records(ctx, record_store.RUNS))
    found = ids[-1:] if named == "last" else [each for each in ids if each.startswith(named.upper())]
    with _client(ctx) as client:
        if client is None or len(found) != 1:
            return []
        bucket = Session.of(ctx.params).settings.bucket.value
        text = client.get_object(bucket, f"{record_store.RUNS}{found[0]}/run.json", timeout=_PATIENCE)
    run = run_history.run_of(found[0], record_text.decode(text) or {})
    counts = Counter(step.function for step in run.steps)
    names = (name if count == 1 else f"{name}#{each + 1}" for name, count in counts.items() for each in range(count))
    return [CompletionItem(each) for each in islice((each for each in names if each.startswith(incomplete)), _MOST)]


def names(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """Return the names under which artifacts are published."""
    from lucas_storage.records import record_store  # noqa: PLC0415  # as above

    return [CompletionItem(each) for each in _records(ctx, record_store.NAMES) if each.startswith(incomplete)]


def _with_scheme(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    store, slash, rest = incomplete.removeprefix(SCHEME).partition("/")
    if not slash:
        stores = Session.of(ctx.params).settings.endpoints
        return [CompletionItem(f"{SCHEME}{each}/") for each in stores if each.startswith(store)]
    with _client(ctx, store) as client:
        if client is None:
            return []
        if "/" not in rest:
            found = [str(Target(store=store, bucket=name)) for name in _buckets(client)]
        else:
            target = parse(_HALF_CODE.sub("", incomplete))
            found = [str(target.at(key)) for key in _level(client, target.bucket, target.key)]
    return [CompletionItem(each) for each in found if each.startswith(incomplete)]


def _records(ctx: click.Context, prefix: str) -> list[str]:
    session = Session.of(ctx.params)
    with _client(ctx) as client:
        if client is None:
            return []
        return [each.removeprefix(prefix).rstrip("/") for each in _level(client, session.settings.bucket.value, prefix)]


def _buckets(client: StorageClient) -> list[str]:
    return [each["name"] for each in client.list_buckets(timeout=_PATIENCE)]


def _level(client: StorageClient, bucket: str, prefix: str) -> list[str]:
    """Return the keys and prefixes up to the next slash."""
    page = client.list_objects(bucket, prefix, _MOST, delimiter="/", details=False, timeout=_PATIENCE)
    return sorted([*(head["key"] for head in page["objects"]), *page["common_prefixes"]])


@contextmanager
def _client(ctx: click.Context, store: str = DEFAULT_STORE) -> Iterator[StorageClient | None]:
    session = Session.of(ctx.params)
    try:
        yield session.running_client(store)
    finally:
        session.close()
