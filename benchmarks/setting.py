"""The running services that the rows share, each started when a row needs it first; and how much is measured."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from .baselines.bare_grpc import bare_server
from .cases import Arm, GiB, KiB, MiB, Missing
from .peers import ceph, juicefs
from .services import TCP, UNIX, clients, storage_server

BUCKET = "bench"


@dataclass(frozen=True)
class Scale:
    """Sizes in bytes and numbers of calls; the defaults are those of the targets."""

    large: int = 256 * MiB
    huge: int = 5 * GiB
    small: int = 4 * KiB
    array: int = 128 * MiB
    step: int = 64 * MiB
    rounds: int = 5
    calls: int = 100
    threads: int = 16
    batch: int = 1000


FULL = Scale()
SMALL = Scale(large=16 * MiB, huge=64 * MiB, array=8 * MiB, step=4 * MiB, rounds=2, calls=10, batch=50)


class Setting:
    """What rows are measured in; close it to end all that it started.

    Args:
        scale: How much is moved, and how often.
    """

    def __init__(self, scale=FULL):
        self.scale = scale
        self._stack = ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._stack.close()

    @cached_property
    def folder(self):
        """A directory for files."""
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory()))

    @cached_property
    def server(self):
        """The server of the product."""
        return self._stack.enter_context(storage_server())

    @cached_property
    def clients(self):
        """A client of it for each transport."""
        return self._stack.enter_context(clients(self.server))

    @cached_property
    def bare(self):
        """The server of bare gRPC."""
        return self._stack.enter_context(bare_server())

    @cached_property
    def go_store(self):
        """The S3 gateway of JuiceFS."""
        return self._stack.enter_context(juicefs.gateway())

    @cached_property
    def stores(self):
        """All S3 stores of others."""
        return (self.go_store, self._stack.enter_context(ceph.cluster()))

    def ours(self, name, action, targets, **options):
        """Return an arm for each transport.

        Args:
            name: The name of the arms; in the cases they are told apart by their transport.
            action: Takes the client and the number of a call.
            targets: By transport.
            options: Of each arm.
        """
        for transport in (UNIX, TCP):
            label, target = f"{name}, {transport}", targets.get(transport)
            if client := self.clients.get(transport):
                yield Arm(label, partial(action, client), self.server.pids, transport, target, **options)
            else:
                yield Missing(label, "not measured: this version has no such transport", transport, target)
