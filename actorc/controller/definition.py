"""The path under which pickles name `Definition`, those of earlier versions and those made now."""

from actorc.controller.client.definition import Definition

__all__ = ["Definition"]
