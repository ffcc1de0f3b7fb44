"""The path under which pickles name `Signature`, those of earlier versions and those made now."""

from actorc.controller.client.signature import Signature

__all__ = ["Signature"]
