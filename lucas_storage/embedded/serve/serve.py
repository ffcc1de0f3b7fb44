"""`Serve`: workflows as routes of a web server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    from flask import Flask, jsonify, request
except ImportError as error:
    message = "lucas.serve needs Flask; install it with 'pip install flask'"
    raise ImportError(message, name=error.name, path=error.path) from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from lucas_storage.embedded.workflow.context import WorkflowContext


class Serve:
    """Answers ``POST`` requests, whose JSON is the input of a workflow, with ``{"status": 1, "result": …}``."""

    def __init__(self) -> None:
        self._app = Flask(__name__)
        self._handler: Callable[..., Any] | None = None

    def set_workflow_func(self, fn: Callable[..., Any]) -> None:
        """Let `fn` run the workflows of the routes that are added from now on, instead of their own handlers."""
        self._handler = fn

    def add_route(self, path: str, workflow_context: WorkflowContext) -> None:
        """Let requests to `path` run a workflow.

        Raises:
            RuntimeError: The workflow's platform needs genuine Lucas, or an executor that it does not name.
        """
        run = workflow_context.export(self._handler)

        def answer() -> Any:
            return jsonify({"status": 1, "result": run(request.get_json())})

        # The path is the name of the endpoint as well: Flask wants a distinct one, and all views are called `answer`.
        self._app.add_url_rule(path, endpoint=path, view_func=answer, methods=["POST"])

    def serve(self, **options: Any) -> None:
        """Serve until the process ends; `options` are those of Flask's ``run``, such as ``port``."""
        self._app.run(**options)
