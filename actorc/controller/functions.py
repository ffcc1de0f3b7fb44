"""The path under which old and new pickles name `ActorFunction`."""

from actorc.controller.lucas.functions import ActorFunction, named

__all__ = ["ActorFunction", "named"]
