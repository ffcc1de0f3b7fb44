"""`ActorRuntimeClass`, and the lookup of the object whose method a step calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actorc.controller.client import lucas_types
from actorc.controller.client.calls import value_of_call
from actorc.controller.client.functions.remote_objects import Method, ObjectDefinition
from actorc.controller.errors import ControllerError
from lucas_storage._tracebacks import shortened


class ActorRuntimeInstance(lucas_types.ActorInstance):
    """An object on the platform, for ``wf.call_method(made, "method", {…})`` and for ``remote``.

    It is pickled at its first call and lives on the platform from then on, as long as the connection does; later
    changes to the object here have no effect on it.
    """

    __module__ = "actorc.controller.classes"  # where processes of any version find it

    def __init__(self, instance: Any, config: Any) -> None:
        super().__init__(instance)
        self._definition = ObjectDefinition.of_object(instance, config, self._id)
        self._class_name = self._definition.name

    def remote(self, method_name: str, data: Mapping[str, Any]) -> Any:
        """Call a method on the platform and return its value.

        Args:
            method_name: Its name.
            data: Its arguments by parameter.

        Raises:
            AttributeError: There is no such method.
            TypeError: The attribute is no method.
            ControllerError: The call could not be made, or failed on the platform.
        """
        with shortened:
            return value_of_call(self.called(method_name), data)

    def called(self, method_name: str) -> Method:
        """Return a method for a call on the platform; raises as `remote` does before anything is sent."""
        if not callable(getattr(self._instance, method_name)):
            raise TypeError(f"{method_name!r} of {self._class_name!r} is no method")
        return self._definition.method(method_name)


class ActorRuntimeClass(lucas_types.ActorClass):
    """A class whose objects live on the platform: ``@actor(wrapper=ActorRuntimeClass, provider="actor", …)``.

    ``export(…)`` makes an object here, and returns an `ActorRuntimeInstance`, which sends it to the platform at its
    first call. Its methods run one at a time and keep its state between them.
    """

    __module__ = "actorc.controller.classes"  # where processes of any version find it

    def onClassInit(self, instance: Any) -> ActorRuntimeInstance:  # noqa: N802  # Lucas's contract
        """Return the object as workflows call it.

        Raises:
            ControllerError: A keyword of the decorator has an impossible value.
        """
        return ActorRuntimeInstance(instance, self._config)


def method_of(step: Any) -> Method:
    """Return the method that a step of a workflow calls.

    Raises:
        ControllerError: Its object is not for the actor platform.
        ParameterError: A parameter of the method cannot be passed by name.
    """
    held, name = step._obj, step._fn_name  # noqa: SLF001  # Lucas's contract
    if isinstance(held, ActorRuntimeInstance):
        return held.called(name.rpartition(".")[2])
    raise ControllerError(
        f"the object whose method {name!r} is called is not for the actor platform, on which this workflow runs; "
        "decorate its class with @actor(provider='actor', wrapper=ActorRuntimeClass)",
        function=name,
    )
