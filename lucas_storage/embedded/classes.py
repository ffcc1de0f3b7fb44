"""Actor classes: classes decorated with `@actor`, whose objects are called by workflows."""

from __future__ import annotations

from typing import Any

from lucas_storage._tracebacks import seam
from lucas_storage.embedded.functions import FunctionConfig
from lucas_storage.embedded.instances import ActorInstance, LocalOnceInstance
from lucas_storage.embedded.workflow.route import routeBuilder


class ActorConfig(FunctionConfig):
    """The keywords of `@actor`, as attributes and as a dict."""


class ActorClass:
    """A decorated class; a platform subclasses it and is given as `wrapper=`.

    Args:
        cls: The class.
        config: The keywords of the decorator.
    """

    def __init__(self, cls: type, config: ActorConfig) -> None:
        self._cls = cls
        self._config = config

    def onClassInit(self, instance: Any) -> ActorInstance:
        """Return the handle of a new object on the platform."""
        raise NotImplementedError(f"{type(self).__name__} does not say where objects are; define onClassInit(instance)")

    @seam
    def export(self, *args: Any, **kwargs: Any) -> ActorInstance:
        """Make an object and return its handle, for `wf.call_method(handle, "method", {…})`.

        Each call makes another object. The body of a workflow is run once per run, so an object made in it serves one
        run, and one made outside of it serves all.

        Raises:
            Exception: Whatever the class raises, as it is.
        """
        instance = self._cls(*args, **kwargs)
        routeBuilder.actor(self._config["name"]).set_actor(instance)
        return self.onClassInit(instance)


class LocalOnceClass(ActorClass):
    """A class whose objects live in this process."""

    def onClassInit(self, instance: Any) -> ActorInstance:
        """Return the object, to be called here."""
        return LocalOnceInstance(instance, self._config["name"])
