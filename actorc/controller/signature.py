"""The path under which old and new pickles name `Signature`."""

from actorc.controller.client.signature import Signature

__all__ = ["Signature"]
