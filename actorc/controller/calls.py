"""The path under which old and new pickles name `value_of_call`."""

from actorc.controller.client.calls import value_of_call

__all__ = ["value_of_call"]
