"""The path under which old and new pickles name `ActorExecutor`."""

from actorc.controller.lucas.executor import ActorExecutor

__all__ = ["ActorExecutor"]
