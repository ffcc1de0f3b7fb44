"""The path under which old and new pickles name `ActorRuntime`."""

from actorc.controller.lucas.runtime import ActorRuntime

__all__ = ["ActorRuntime"]
