"""The path under which pickles name `ActorExecutor`, those of earlier versions and those made now."""

from actorc.controller.lucas.executor import ActorExecutor

__all__ = ["ActorExecutor"]
