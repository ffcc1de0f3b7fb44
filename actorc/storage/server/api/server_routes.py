"""Routes about the server and its callers."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from .routes import NoParameters, Request, Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The file system of the data directory, in bytes."""

    size: int
    free: int
    """Bytes that the server may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """A server, and the state of this process of it."""

    version: str
    engine: str
    durable: bool
    capabilities: tuple[str, ...]
    time: datetime
    http_endpoint: str
    auto_create_buckets: bool
    ready: bool
    healthy: bool
    is_open: bool
    damage_found: int
    transfers: int
    disk: Disk | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The caller of this request."""

    access_key: str
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One number of the server."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The numbers of all processes of the server. Counters only grow: rates are their differences over time."""

    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What the server knows of itself, asked at each request."""

    endpoint: Callable[[], str]
    is_ready: Callable[[], bool]
    is_healthy: Callable[[], bool]
    is_open: Callable[[], bool]
    damaged: Callable[[], int]
    transfers: Callable[[], int]
    data: Path | None
    """Data directory of the engine, if it has one."""
    samples: Callable[[], tuple[Sample, ...]]


def server_routes(facts: ServerFacts) -> list[Route]:
    """Return the routes about a server."""
    return [
        Route(
            path="/server",
            name="server",
            tag="server",
            summary="Describe the server: version, health, disk, damage.",
            answer=ServerState,
            handle=lambda request, _: _state(facts, request),
        ),
        Route(
            path="/server/metrics",
            name="metrics",
            tag="server",
            summary="List the numbers of /metrics.",
            answer=Samples,
            handle=lambda _request, _parameters: Samples(samples=facts.samples()),
        ),
        Route(
            path="/caller",
            name="caller",
            tag="server",
            summary="Describe the caller and its permissions.",
            answer=Caller,
            handle=_caller,
        ),
    ]


def _state(facts: ServerFacts, request: Request) -> ServerState:
    info = request.store.server_info()
    return ServerState(
        version=info.version,
        engine=info.engine,
        durable=info.durable,
        capabilities=info.capabilities,
        time=info.time,
        http_endpoint=facts.endpoint(),
        auto_create_buckets=info.auto_create_buckets,
        ready=facts.is_ready(),
        healthy=facts.is_healthy(),
        is_open=facts.is_open(),
        damage_found=facts.damaged(),
        transfers=facts.transfers(),
        disk=None if facts.data is None else _disk(facts.data),
    )


def _disk(data: Path) -> Disk:
    status = os.statvfs(data)
    return Disk(size=status.f_blocks * status.f_frsize, free=status.f_bavail * status.f_frsize)


def _caller(request: Request, _parameters: NoParameters) -> Caller:
    principal = request.principal
    return Caller(access_key=principal.access_key, statements=tuple(map(str, principal.statements)))
