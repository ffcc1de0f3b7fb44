"""Registration of the application with the controller: the first message of a session, and the wait for its answer."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from actorc.controller.client.address import Destination
from actorc.controller.errors import ControllerUnavailableError


class ApplicationRegistration:
    """The answer to a registration. Any thread may call it.

    Args:
        destination: The controller, and the origin of the application id.
        seconds: How long to wait for the answer.
    """

    def __init__(self, destination: Destination, seconds: float) -> None:
        self._destination = destination
        self._seconds = seconds
        self._refusal: Future[str] = Future()

    @property
    def is_answered(self) -> bool:
        """Whether the controller has answered, or cannot any more."""
        return self._refusal.done()

    def take(self, refusal: str) -> None:
        """Take the answer: why the controller refuses, empty if it does not."""
        self._refusal.set_result(refusal)

    def fail(self, error: ControllerUnavailableError) -> None:
        """Let `wait` raise `error`."""
        self._refusal.set_exception(error)

    def wait(self) -> None:
        """Wait for the answer.

        Raises:
            ControllerUnavailableError: The controller refused, did not answer in time, or cannot be reached.
        """
        destination = self._destination
        try:
            refusal = self._refusal.result(self._seconds)
        except FutureTimeoutError:
            raise self._error(
                f"the controller did not answer the registration within {self._seconds:g} seconds; another "
                f"process may have the application id from {destination.app_id_origin}, so give this one an id "
                f"of its own. The controller is at {destination.shown}"
            ) from None
        if refusal:
            raise self._error(
                f"the controller did not take the session because {refusal}. The application id is from "
                f"{destination.app_id_origin}, and the controller is at {destination.shown}"
            )

    def _error(self, message: str) -> ControllerUnavailableError:
        return ControllerUnavailableError(message, address=self._destination.address, origin=self._destination.origin)
