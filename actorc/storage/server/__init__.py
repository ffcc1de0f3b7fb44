"""The storage service: gRPC and HTTP over the rules of object storage, over engines that hold the bytes."""

from __future__ import annotations

from .config import ServerOptions
from .process.main import serve
from .server import StorageServer

__all__ = ["ServerOptions", "StorageServer", "serve"]
