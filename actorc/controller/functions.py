"""The path under which pickles name `ActorFunction`, those of earlier versions and those made now."""

from actorc.controller.lucas.functions import ActorFunction, named

__all__ = ["ActorFunction", "named"]
