"""The path under which pickles name `Out`, those of earlier versions and those made now."""

from lucas_storage.values.out import Out

__all__ = ["Out"]
