"""The path under which old and new pickles name `Definition`."""

from .client.functions.definition import Definition

__all__ = ["Definition"]
