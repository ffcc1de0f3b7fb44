"""Sessions: the connection of a client command, the options that choose it, and the printing of its results."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import click

from actorc.storage.local_server.shared_files import DIRECTORY, ENDPOINT_FILE
from actorc.storage.setting_lookup import BUILT_IN
from lucas_storage.declared_settings import DEFAULT_STORE

from .local_paths import LocalPath
from .printing import print_record

# The client is imported where it is used: the help of a command, whose module imports this one, needs none.
if TYPE_CHECKING:
    from actorc.storage.client import StorageClient
    from lucas_storage.local_service.service import LocalService

_OF_DATA: Final = "the server of --data"
_OPTION: Final = "--endpoint"
_LOOPBACK: Final = ("localhost:", "127.0.0.1:")


class Session:
    """The connections of one command, closed with it. For its main thread; the clients may be used by others.

    Args:
        endpoint: Address given on the command line.
        data: Data directory given on the command line.
        profile: Profile given on the command line.
        as_json: Whether results are printed for programs.

    Raises:
        UsageError: `data` is given, and `endpoint` or `profile` as well.
    """

    def __init__(
        self, endpoint: str | None, data: Path | None, *, profile: str | None = None, as_json: bool = False
    ) -> None:
        for option, value in ((_OPTION, endpoint), ("--profile", profile)):
            if data and value:
                raise click.UsageError(f"{option} and --data exclude each other; a data directory has its own server")
        # With --data, a server found by the working directory must not be used.
        from lucas_storage import settings  # noqa: PLC0415  # slow to load, as the client

        self.settings = settings.resolve(endpoint=_OF_DATA if data else endpoint, profile=profile)
        """The settings of this command."""
        self._data = data
        self._profile = profile
        self._endpoint = endpoint
        self.as_json = as_json
        """Whether results are printed for programs."""
        self._clients: dict[str, StorageClient] = {}
        self._own: LocalService | None = None
        self._stack = ExitStack()

    def client(self, store: str = DEFAULT_STORE) -> StorageClient:
        """Return the client for a store, the same one every time.

        Raises:
            UnknownStoreError: There is no endpoint for it.
        """
        # One client for each store: a command of thousands of keys opens one connection.
        if store not in self._clients:
            from actorc.storage.client import StorageClient  # noqa: PLC0415  # as above

            if (service := self._service(store)) is not None:
                client = service.client()
            else:
                found = self.settings.client_endpoint(store, _OPTION), *self.settings.keys(store)
                client = StorageClient(*found, profile=self.settings.client_profile)
            self._clients[store] = self._stack.enter_context(client)
        return self._clients[store]

    def anew(self) -> Session:
        """Return a session of the same options, for the server that they mean by now."""
        return Session(self._endpoint, self._data, profile=self._profile, as_json=self.as_json)

    def data(self) -> Path | None:
        """Return the data directory whose server the command uses; None if it addresses another one."""
        service = self._service(DEFAULT_STORE)
        return service.data if service else None

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        """Return a session for arguments that are being typed."""
        return cls(params.get("endpoint"), params.get("data"), as_json=False)

    def running_client(self, store: str = DEFAULT_STORE) -> StorageClient | None:
        """Return a client for a store, as `client` does; None where a server would have to be started, or none listens.

        Raises:
            UnknownStoreError: There is no endpoint for it.
        """
        from actorc import addresses  # noqa: PLC0415  # as above
        from actorc.storage.client import StorageClient  # noqa: PLC0415
        from actorc.storage.local_server import local_endpoint  # noqa: PLC0415

        data = self._own_data() if store == DEFAULT_STORE else None
        if data is not None:
            found = local_endpoint.read(data)
            if found is None:
                return None
            client = StorageClient(found.endpoint, found.access_key, found.secret_key)
        else:
            place = self.settings.endpoint(store).value
            # Of one that is on this machine it is known at once whether it listens.
            if place.startswith(_LOOPBACK) and not local_endpoint.is_taken(addresses.parse(place)[1]):
                return None
            client = StorageClient(self.settings.client_endpoint(store, _OPTION), *self.settings.keys(store))
        return self._stack.enter_context(client)

    def overrides(self, store: str) -> dict[str, Any]:
        """Return settings with which the plugin talks to the same server as `client`.

        Raises:
            UnknownStoreError: There is no endpoint for it.
        """
        client, service = self.client(store), self._service(store)
        keys = {"access_key": client.access_key, "secret_key": client.secret_key}
        # A key of the user's own wins over that of the data directory.
        file = service and not self.settings.signing_key.value and service.signing_key_file
        profile = self.settings.client_profile
        return {"endpoints": {store: client.endpoint}, **keys, "signing_key_file": file or None, "profile": profile}

    def emit(self, record: Mapping[str, Any], text: str | None) -> None:
        """Print one result: `record` as a line of JSON, or else `text`, if there is any."""
        if self.as_json:
            print_record(record)
        elif text is not None:
            click.echo(text)

    def close(self) -> None:
        """Close all connections."""
        self._stack.close()

    def origin(self, store: str = DEFAULT_STORE) -> str:
        """Return the origin of the address of a store, for people."""
        service = self._service(store)
        if service:
            return f"the server of {self._data or service.data}"
        told = self.settings.client_endpoint(store, _OPTION)
        return told.origin if told else BUILT_IN

    def key_origin(self, store: str = DEFAULT_STORE) -> str:
        """Return the origin of the access key for a store, for people."""
        from actorc.storage.config import NO_KEYS, ClientOptions  # noqa: PLC0415  # as above

        service = self._service(store)
        if service is not None:
            return f"its {ENDPOINT_FILE}" if service.access_key else NO_KEYS
        if any(self.settings.keys(store)):
            return self.settings.access_key.origin
        endpoint, profile = self.settings.client_endpoint(store, _OPTION), self.settings.client_profile
        return ClientOptions.resolve(endpoint, profile=profile).key_origin

    def _service(self, store: str) -> LocalService | None:
        """Return the server of a data directory, if the command addresses it; else None."""
        if store != DEFAULT_STORE:
            return None
        if self._own is None and (data := self._own_data()) is not None:
            from lucas_storage.local_service.service import LocalService  # noqa: PLC0415  # starts processes

            self._own = self._stack.enter_context(LocalService(data))
            if self._own.caution:
                click.echo(f"lucas-storage: {self._own.caution}", err=True)
        return self._own

    @property
    def names_server(self) -> bool:
        """Whether an option, the environment or a profile names the server, rather than a directory that is found."""
        local = self.settings.local
        return self.settings.endpoint().origin not in (BUILT_IN, local.origin if local else BUILT_IN)

    def _own_data(self) -> Path | None:
        from actorc.storage.local_server.nearest_directory import find_directory  # noqa: PLC0415  # as above

        if self._data or self.names_server:
            return self._data
        # Only if nothing else names a server: the environment of a deployed program must not be overridden by a folder.
        return find_directory()


_Command: TypeAlias = Callable[..., None]


def reading(command: _Command) -> _Command:
    """Give a command options that choose a server, ``--json``, and a `Session` as its first argument."""
    return _with_session(command, data_exists=True)


def writing(command: _Command) -> _Command:
    """Do as `reading`, for a command that makes a data directory if it does not exist."""
    return _with_session(command, data_exists=False)


def _with_session(command: _Command, *, data_exists: bool) -> _Command:
    @click.option("--endpoint", metavar="HOST:PORT", help="The server; else STORAGE_ENDPOINT.")
    @click.option(
        "--data",
        type=LocalPath(exists=data_exists, file_okay=False, path_type=Path),
        metavar="DIR",
        help="Use the server of this data directory, started if it does not run. Without an endpoint, "
        f"the nearest {DIRECTORY} here or above, if there is one.",
    )
    @click.option("--profile", metavar="NAME", help="Settings of ~/.config/lucas-storage.toml; else STORAGE_PROFILE.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
    @functools.wraps(command)
    def connected(
        endpoint: str | None, data: Path | None, profile: str | None, *, as_json: bool, **arguments: Any
    ) -> None:
        import logging  # noqa: PLC0415  # as above

        # Without a handler, `logging` prints warnings about retries to standard error; --debug adds a real one.
        logging.getLogger("actorc.storage").addHandler(logging.NullHandler())
        session = Session(endpoint, data, profile=profile, as_json=as_json)
        try:
            command(session, **arguments)
        finally:
            session.close()  # a server that this command started ends with it, so its lock is released on errors, too

    return connected
