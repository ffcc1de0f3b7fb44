"""The path under which old and new pickles name `Signature`."""

from .client.functions.signature import Signature

__all__ = ["Signature"]
