"""Runs a server as a process: signals, files with its address, and shutdown when no process uses it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from actorc.storage.errors import InvalidParameterError
from actorc.storage.local_server.held_ports import can_be_shared
from actorc.storage.local_server.shared_files import ENDPOINT_FILE, former_endpoint, published
from actorc.storage.server.auth.access_keys import OwnKey, own_key
from actorc.storage.server.config import ServerOptions
from actorc.storage.server.listen_address import is_loopback, numeric_address
from actorc.storage.server.server import StorageServer
from actorc.tracing import setup

from .announcement import announced, occupied
from .descriptor_limit import raise_limit
from .garbage_collection import without_loaded_objects
from .heap_limit import limit_heaps
from .ports import reserve
from .shutdown import ShutdownFlag, stop_on_signals, stop_when_unlocked
from .supervisor import Supervisor

log = logging.getLogger(__name__)


def serve(
    options: ServerOptions,
    *,
    endpoint_file: Path | None = None,
    linger_lock: Path | None = None,
    private: bool = False,
) -> None:
    """Run a server until SIGINT or SIGTERM; on the main thread.

    The first signal lets running calls finish for `options.grace` seconds, a second one ends the process at once.
    While it runs, ``endpoint.json`` in its data directory has its address for programs of this user. Once the server
    has access keys, the file has one made for these programs alone; the server that follows one that was killed keeps
    its key, so that clients of before go on.

    Args:
        options: Configuration of the server.
        endpoint_file: Has the server's address while it runs, as JSON with ``endpoint``, ``pid`` and ``data``;
            readable by this user only, and replaced atomically.
        private: Whether that key is required even if there are no others, so that only this user has access.
        linger_lock: Also stop once no process holds a shared lock (``flock``) on this file, and every URL that the
            server made has expired. Take it before the server
            is started. The server then holds an exclusive lock until it ends, so a process that gets the shared lock
            again knows that this server is gone.

    Raises:
        InvalidParameterError: The port is taken or not allowed, or a private server has no data directory.
        StorageError: The engine cannot be opened, or another server has the data directory.
    """
    # stored data is for clients of the server; other users of the machine must not read the files
    os.umask(0o077)
    raise_limit()
    limit_heaps()
    setup.set_up(setup.SERVER)
    shutdown = ShutdownFlag()
    with ExitStack() as stack:
        resources = _acquired(options, stack, private=private)
        supervisor = Supervisor(resources.options, own=resources.own) if options.workers > 1 else None
        stop_on_signals(shutdown, supervisor.kill if supervisor else None)
        server = supervisor or StorageServer(resources.options, own=resources.own, shares_port=resources.shares_port)
        stack.callback(server.stop)
        endpoint = server.start()
        publisher = _publish_files(stack, options, endpoint, resources, endpoint_file)
        if linger_lock:
            # a URL of a server that ends with its users works until it expires
            stop_when_unlocked(linger_lock, shutdown, lambda: server.urls_until)
        log.info("serving %s on %s", options.engine_url, endpoint)
        if server.http_endpoint:
            log.info("serving presigned URLs at %s", server.http_endpoint)
        _warn_of_exposure(server, options)

        def look_at_keys() -> None:
            server.notice_keys()
            publisher.publish_if_needed()

        stack.enter_context(without_loaded_objects())
        shutdown.wait(look_at_keys)
        log.info("stopping, running calls have %g s to finish", options.grace)


serve.__module__ = "actorc.storage.server.process"  # where processes of any version find it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resources:
    """Resources taken before the server is made: options with a reserved port, and its own key."""

    options: ServerOptions
    own: OwnKey | None = None
    secret: str | None = field(default=None, repr=False)
    """Secret of its own key."""
    shares_port: bool = False

    @property
    def is_closed(self) -> bool:
        """Whether every call needs a key, also those of this user's programs."""
        return self.own is not None and (self.own.closes or _has_keys(self.options))

    def endpoint_fields(self) -> dict[str, Any]:
        """Return the fields of ``endpoint.json`` beside the address."""
        fields: dict[str, Any] = {"use_ssl": self.options.tls_cert is not None, "shares_port": self.shares_port}
        if self.own is not None and self.is_closed:
            fields |= {"access_key": self.own.key.id, "secret_key": self.secret}
        return fields


def _acquired(options: ServerOptions, stack: ExitStack, *, private: bool) -> _Resources:
    directory = options.directory
    if directory is None:
        if private:
            raise InvalidParameterError("a private server tells its key in its data directory; give --data as well")
        return _Resources(options=options)
    # the directory first: while another server has it, the port is that server's as well
    stack.enter_context(occupied(directory))
    own, secret = own_key(closes=private, former=former_endpoint(directory))
    address = numeric_address(options.listen, loopback_only=not _has_keys(options))
    shares_port = can_be_shared(address.host)
    if shares_port and options.workers == 1:
        held, found = reserve(address, among_clients=True)
        options = replace(options, listen=str(found))
        stack.enter_context(held)
    return _Resources(options=options, own=own, secret=secret, shares_port=shares_port)


def _has_keys(options: ServerOptions) -> bool:
    return options.keys_file is not None and options.keys_file.exists()


def _publish_files(
    stack: ExitStack, options: ServerOptions, endpoint: str, resources: _Resources, elsewhere: Path | None
) -> _KeyPublisher:
    directory = options.directory
    replace_fields: Callable[..., None] | None = None
    if directory is not None:
        replace_fields = stack.enter_context(announced(directory, endpoint, **resources.endpoint_fields()))
    if elsewhere is not None and (directory is None or elsewhere.absolute() != directory.absolute() / ENDPOINT_FILE):
        data = str(options.data.absolute()) if options.data else None
        stack.enter_context(published(elsewhere, {"endpoint": endpoint, "pid": os.getpid(), "data": data}))
    return _KeyPublisher(resources, replace_fields)


class _KeyPublisher:
    """Publishes the server's own key to programs of this user as soon as they need one, which is after `keys add`.

    Args:
        resources: The server's resources.
        replace_fields: Replaces fields of ``endpoint.json``; None if there is no data directory.
    """

    def __init__(self, resources: _Resources, replace_fields: Callable[..., None] | None) -> None:
        self._resources = resources
        self._replace_fields = replace_fields
        self._is_published = resources.is_closed

    def publish_if_needed(self) -> None:
        """Publish the key if it is needed and was not published."""
        if self._replace_fields is None or self._is_published or not self._resources.is_closed:
            return
        try:
            self._replace_fields(**self._resources.endpoint_fields())
        except OSError as error:
            # tried again half a second later; a full disk must not end the server
            log.warning("programs of this user are not told their key yet, %s", error)
        else:
            self._is_published = True


def _warn_of_exposure(server: StorageServer | Supervisor, options: ServerOptions) -> None:
    if server.is_open:
        where = f"--data {options.directory}" if options.directory else "--keys FILE"
        log.warning(
            "no access keys are configured, so the server is open to every process on this machine, and each of its "
            "users may read and change everything; 'lucas-storage keys add --admin %s' adds a key and closes it",
            where,
        )
    elif options.tls_cert is None and not is_loopback(options.listen):
        log.warning(
            "the server is reachable from other machines without TLS; nobody learns a secret key, but whoever is on "
            "the way can read and change what is sent"
        )
