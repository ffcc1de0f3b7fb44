"""The engine over a remote object store."""

from .engine import RemoteEngine

__all__ = ["RemoteEngine"]
