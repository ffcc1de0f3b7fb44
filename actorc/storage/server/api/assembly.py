"""Assembles the API of a server from its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from actorc.storage._wire.direct_calls import Carrier
from actorc.storage.server.auth.access import Principal
from actorc.storage.server.auth.authentication import Authenticator
from actorc.storage.server.auth.keyring import Keyring
from actorc.storage.server.auth.presigning import PresignedUrls
from actorc.storage.server.auth.tokens import Tokens
from actorc.storage.server.service.call_flow import CallFlow
from actorc.storage.server.service.direct_calls import DirectCalls
from actorc.storage.server.service.methods import Method
from actorc.storage.server.store.store import ObjectStore

from .api import Api
from .callers import Callers
from .installed_routes import installed_routes
from .key_routes import key_routes
from .object_routes import OfUrl, object_routes
from .server_routes import Sample, ServerFacts, server_routes


class ApiParts(NamedTuple):
    """The parts of the storage server that the API uses."""

    store: ObjectStore
    methods: Mapping[str, Method]
    flow: CallFlow
    authenticator: Authenticator
    keyring: Keyring
    urls: PresignedUrls
    clock: Callable[[], float]
    is_ready: Callable[[], bool]
    is_healthy: Callable[[], bool]
    damaged: Callable[[], int]
    data: Path | None
    threads: int
    """Requests at the same time, those of presigned URLs included."""


def open_api(parts: ApiParts, *, is_own_name: Callable[[str], bool], metrics: Callable[[], bytes] | None = None) -> Api:
    """Return the API.

    Args:
        parts: The parts of the storage server.
        is_own_name: Returns whether a host is a name of this server.
        metrics: Returns the page of metrics; None if its library is missing.
    """
    keyring = parts.keyring
    facts = ServerFacts(
        endpoint=lambda: parts.urls.endpoint,
        is_ready=parts.is_ready,
        is_healthy=parts.is_healthy,
        is_open=lambda: keyring.is_open,
        damaged=parts.damaged,
        transfers=lambda: parts.flow.access_log.transfers,
        data=parts.data,
        samples=(lambda: ()) if metrics is None else partial(_samples, metrics),
    )
    return Api(
        parts.store,
        partial(_calls, parts),
        Callers(
            parts.authenticator,
            Tokens(keyring, parts.clock),
            is_open=lambda: keyring.is_open,
            is_own_name=is_own_name,
        ),
        lambda: [
            *server_routes(facts),
            *object_routes(partial(_presigned, parts.urls)),
            *key_routes(keyring),
            *installed_routes(),
        ],
        access_log=parts.flow.access_log,
        is_open=lambda: keyring.is_open,
        # the rest of the threads serves objects
        limit=max(2, parts.threads // 4),
    )


def _calls(parts: ApiParts, principal: Principal, peer: str, deadline: float) -> Carrier:
    return DirectCalls(parts.methods, parts.flow, principal, peer=peer, deadline=deadline)


def _presigned(urls: PresignedUrls, principal: Principal, wanted: OfUrl) -> str:
    return urls.issue(principal, wanted.method, wanted.bucket, wanted.key, expires=wanted.expires)


def _samples(metrics: Callable[[], bytes]) -> tuple[Sample, ...]:
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415  # its library may be missing

    families: Any = text_string_to_metric_families(metrics().decode())
    return tuple(
        Sample(name=sample.name, labels=dict(sample.labels), value=float(sample.value))
        for family in families
        for sample in family.samples
    )
