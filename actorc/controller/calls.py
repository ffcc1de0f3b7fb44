"""The path under which pickles name `value_of_call`, those of earlier versions and those made now."""

from actorc.controller.client.calls import value_of_call

__all__ = ["value_of_call"]
