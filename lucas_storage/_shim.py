"""The path under which pickles name `restore`, those of earlier versions and those made now."""

from lucas_storage.shipping.shim import Shim, restore

__all__ = ["Shim", "restore"]
