"""The path under which pickles name `ActorRuntime`, those of earlier versions and those made now."""

from actorc.controller.lucas.runtime import ActorRuntime

__all__ = ["ActorRuntime"]
