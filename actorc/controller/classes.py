"""The path under which pickles name the classes of remote objects, those of earlier versions and those made now."""

from actorc.controller.lucas.runtime_classes import ActorRuntimeClass, ActorRuntimeInstance

__all__ = ["ActorRuntimeClass", "ActorRuntimeInstance"]
