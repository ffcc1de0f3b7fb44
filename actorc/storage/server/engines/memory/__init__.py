"""The engine in memory, for tests and experiments."""

from .engine import MemoryEngine

__all__ = ["MemoryEngine"]
