"""The path under which old and new pickles name the classes of remote objects."""

from actorc.controller.lucas.runtime_classes import ActorRuntimeClass, ActorRuntimeInstance

__all__ = ["ActorRuntimeClass", "ActorRuntimeInstance"]
