"""Actor instances: objects whose methods are steps of workflows, and which keep their state between calls."""

from __future__ import annotations

import difflib
import threading
import uuid
from typing import TYPE_CHECKING, Any

from lucas_storage._tracebacks import seam, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class ActorInstance:
    """The handle of one object of a decorated class; a platform subclasses it and defines how methods are called.

    Args:
        instance: The object in this process.
    """

    def __init__(self, instance: Any) -> None:
        self._id = str(uuid.uuid4())
        self._instance = instance
        self._class_name = type(instance).__name__

    def get_class_name(self) -> str:
        """Return the name of its class in steps and messages."""
        return self._class_name

    def remote(self, method_name: str, data: Mapping[str, Any]) -> Any:
        """Call a method where the object lives, and return its result.

        Args:
            method_name: Its name.
            data: Its arguments by parameter.
        """
        message = f"{type(self).__name__} does not say how methods are called; define remote(method_name, data)"
        raise NotImplementedError(message)

    def method(self, method_name: str) -> Callable[..., Any]:
        """Return a method of the object in this process.

        Raises:
            AttributeError: It has no attribute of this name.
            TypeError: The attribute cannot be called.
        """
        found = getattr(self._instance, method_name, self)
        if found is self:
            close = difflib.get_close_matches(method_name, dir(self._instance), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            message = f"{self._class_name!r} has no method {method_name!r}{hint}"
            raise AttributeError(message, name=method_name, obj=self._instance)
        if not callable(found):
            message = f"{method_name!r} of {self._class_name!r} is {type(found).__name__}, which cannot be called"
            raise TypeError(message)
        return found  # type: ignore[no-any-return]  # users' objects are untyped


class LocalOnceInstance(ActorInstance):
    """An object in this process. One call at a time, so that methods need no locks; they may call each other."""

    def __init__(self, instance: Any, class_name: str) -> None:
        super().__init__(instance)
        self._class_name = class_name
        # Held during each call. Reentrant, since methods of one object may call each other.
        self._calling = threading.RLock()

    def remote(self, method_name: str, data: Mapping[str, Any]) -> Any:
        """Call a method and return its result; its exceptions are raised unchanged."""
        method = self.method(method_name)
        with shortened, self._calling:
            return self._call(method, data)

    @seam
    def _call(self, method: Callable[..., Any], data: Mapping[str, Any]) -> Any:
        return method(**data)
