"""The engine under test, behind each face."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

from actorc.storage.client import StorageClient
from actorc.storage.server.engines.base import Engine
from actorc.storage.server.store.store import ObjectStore
from actorc.storage.testing.server import local_server

from .async_face import AsyncFace
from .store_face import StoreFace

FACES = ("store", "client", "unix", "async")


class Subject:
    """Declares the capabilities of an engine; the author of the engine subclasses it.

    Attributes:
        lacks: Members of `CAPABILITIES` that the engine does not have. Cases that need one are left out, and cases that
            show its refusal are included.
        faces: Interfaces to the engine: ``store`` is the rules of the service in this process; the others are clients
            of a real server, ``client`` over gRPC, ``unix`` over its Unix socket, ``async`` over what a program takes
            that says nothing of it.
        rule_faces: The faces for cases of a pure rule, of which there are many.
    """

    lacks: ClassVar[Collection[str]] = ()
    faces: ClassVar[Sequence[str]] = FACES
    rule_faces: ClassVar[Sequence[str]] = ("store",)

    def open_engine(self, directory: Path) -> Engine:
        """Return the engine whose medium is `directory`, or is found by its name; it is closed by who asked for it.

        A directory that was not given before is empty, and so is the engine. One that was given before and whose engine
        was closed has what that engine stored, if it is durable.
        """
        raise NotImplementedError(f"{type(self).__name__} has to say how its engine is opened; define open_engine")


@dataclass(frozen=True, slots=True)
class Opened:
    """A face over an engine, and the rules beneath it, which see the same whatever a case has broken off."""

    face: StorageClient
    beneath: StoreFace

    def empty(self) -> None:
        """Remove every bucket with all that is in it, and every upload under way."""
        for bucket in [each["name"] for each in self.beneath.list_buckets()]:
            for upload in self.beneath.list_multipart_uploads(bucket)["uploads"]:
                self.beneath.abort_multipart_upload(bucket, upload["key"], upload["upload_id"])
            while keys := [each["key"] for each in self.beneath.list_objects(bucket)["objects"]]:
                self.beneath.delete_objects(bucket, keys)
            self.beneath.delete_bucket(bucket)


@contextmanager
def opened(face: str, engine: Engine) -> Iterator[Opened]:
    """Open a face over an engine; both are closed at the end."""
    beneath = StoreFace(ObjectStore(engine, auto_create_buckets=False))
    if face == "store":
        with closing(engine):
            yield Opened(cast("StorageClient", beneath), beneath)
        return
    with local_server(engine, auto_create_buckets=False) as server:
        if face in {"client", "unix"}:
            with StorageClient(server.endpoint, local=face == "unix") as client:
                yield Opened(client, beneath)
        else:
            with closing(AsyncFace(server.endpoint)) as asynchronous:
                yield Opened(cast("StorageClient", asynchronous), beneath)
