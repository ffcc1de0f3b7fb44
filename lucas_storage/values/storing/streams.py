"""Iterators that are results: their items are stored while they run, kept apart as bytes or as lines of JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any, Final

from lucas_storage.artifacts.chunks import BYTES, checked, send_bytes
from lucas_storage.artifacts.store import store_for
from lucas_storage.formats import format_by_id
from lucas_storage.formats.composite import STREAM
from lucas_storage.refs import ArtifactRef

from .policy import Policy
from .store_value import declared, store_pieces

_NOTHING: Final = object()


def streamed(
    stream: Iterator[Any],
    policy: Policy,
    line: Callable[[Any], bytes],
    requested: str | None = None,
    name: str | None = None,
) -> ArtifactRef | list[Any]:
    """Run an iterator to its end and store its items meanwhile; part by part, never as a whole in memory.

    Args:
        stream: Yields bytes, or other values.
        policy: Store and limits.
        line: Returns one item as JSON, for a stream of other values than bytes.
        requested: Format of the bytes taken together; None keeps the items apart.
        name: Name of the file if the stream is later asked for as a path.

    Returns:
        The reference; or all items, if a format is requested and they are not bytes, for that format to encode.

    Raises:
        TypeError: It yielded bytes and then another value.
    """
    # The first item decides whether this is a stream of bytes or of records; it is put back before the rest.
    first = next(stream, _NOTHING)
    every = stream if first is _NOTHING else chain((first,), stream)
    are_bytes = isinstance(first, BYTES)
    if requested not in (None, STREAM, STREAM.partition("@")[0]):
        return store_pieces(checked(every), declared(requested), policy, name) if are_bytes else list(every)
    send = partial(send_bytes, every if are_bytes else _lines(every, line), items=are_bytes)
    return store_for(policy.store).keep_parts(send, format_by_id(STREAM), name)


def _lines(items: Iterator[Any], line: Callable[[Any], bytes]) -> Iterator[bytes]:
    for item in items:
        yield line(item) + b"\n"
