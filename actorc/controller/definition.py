"""The path under which old and new pickles name `Definition`."""

from actorc.controller.client.definition import Definition

__all__ = ["Definition"]
