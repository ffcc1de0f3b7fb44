"""The path under which pickles name `In` and `Out`, those of earlier versions and those made now."""

from lucas_storage.values.in_options import In

from .values.out_options import Out

__all__ = ["In", "Out"]
