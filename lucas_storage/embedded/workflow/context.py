"""`WorkflowContext`: the object that `@workflow` puts in place of a function."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from lucas_storage._tracebacks import seam, shortened
from lucas_storage.embedded.errors import needs_genuine
from lucas_storage.embedded.runtime.local_once_runtime import LocalOnceRuntime
from lucas_storage.embedded.workflow.workflow import Workflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from lucas_storage.embedded.runtime.runtime import Runtime
    from lucas_storage.embedded.serverless_function import Metadata
    from lucas_storage.embedded.workflow.dag import DAG
    from lucas_storage.embedded.workflow.route import Route


class WorkflowContext:
    """A workflow that can be run any number of times, also by several threads: each run builds a graph of its own.

    The body is therefore run once per run, and once at decoration to report mistakes where they are made.

    Args:
        body: The decorated function.
        provider: The platform the workflow is exported for.
        route: The registered functions.
        executor: The class that runs the graphs; None for the engine's own.
    """

    def __init__(
        self, body: Callable[[Workflow], Any], provider: str, route: Route, executor: Callable[[DAG], Any] | None = None
    ) -> None:
        self._body = body
        self._provider = provider
        self._route = route
        self._executor = executor
        self._runtime: Runtime | None = None
        # Requests on several threads share the context, and each must call functions through its own runtime.
        self._of_thread = threading.local()
        # Once at decoration: a mistake in the body is raised where it is written, not at the first request.
        self.generate()

    def set_runtime(self, rt: Runtime) -> None:
        """Set the runtime of the workflows that `generate` will return.

        Each thread sees the runtime that it set itself; a thread that set none sees the last one set.
        """
        self._of_thread.runtime = self._runtime = rt

    def generate(self) -> Workflow:
        """Run the body and return the new graph, with the runtime that was set, ready for `execute()`."""
        workflow = Workflow(self._route, self._body.__name__)
        workflow.frt = getattr(self._of_thread, "runtime", self._runtime)
        if self._executor is not None:
            workflow.setExecutor(self._executor)
        result = self._described(workflow)
        # A body may name its value by wf.end_with and return nothing.
        if result is not None or workflow._end is None:
            workflow.end_with(result)
        return workflow

    @seam
    def _described(self, workflow: Workflow) -> Any:
        return self._body(workflow)

    def run(
        self, data: Any = None, executor: Callable[[DAG], Any] | None = None, *, platform: str = "local-once"
    ) -> Any:
        """Run the workflow once in this process and return its value.

        Args:
            data: A dict of the inputs.
            executor: Runs the graph instead of the workflow's own.
            platform: Name of the platform that called it, which is that of the runtime.

        Raises:
            MissingInputError: `data` lacks an input. No step was started.
            Exception: Whatever a step raises, as it is.
        """
        with shortened:
            return self.run_graph(self.generate(), data, executor, platform=platform)

    def run_graph(
        self,
        workflow: Workflow,
        data: Any = None,
        executor: Callable[[DAG], Any] | None = None,
        *,
        platform: str = "local-once",
    ) -> Any:
        """Run a graph that `generate` returned, once, as `run` does."""
        with shortened:
            runtime = LocalOnceRuntime.serving(data, self._route.handlers())
            runtime.name = platform
            workflow.setRuntime(runtime)
            if executor is not None:
                workflow.setExecutor(executor)
            return workflow.execute()

    def export(self, fn: Callable[..., Any] | None = None) -> Callable[..., Any]:
        """Return the handler for callers: `fn` itself if given, else one with the signature of the platform.

        Raises:
            RuntimeError: The platform needs genuine Lucas, or an executor that the workflow does not name.
            NotImplementedError: The platform is unknown.
        """
        return fn if fn is not None else self.handler(self._provider)

    def handler(self, provider: str) -> Callable[..., Any]:
        """Return a handler with the signature of `provider`; raises as `export` does."""
        if provider == "local-once" or (provider == "actor" and self._executor is not None):
            return self.run
        if provider == "knative":
            return self._run_request
        if provider == "actor":
            message = "A workflow on the actor platform needs an executor, as in @workflow(executor=ActorExecutor)"
            raise RuntimeError(message)
        if provider in {"aliyun", "cluster", "local"}:
            raise RuntimeError(needs_genuine(f"A workflow of the provider {provider!r}"))
        message = f"The provider {provider!r} has no handler of its own, so give one, as in workflow.export(handler)"
        raise NotImplementedError(message)

    def _run_request(self, metadata: Metadata) -> Any:
        return self.run(metadata._params, platform="knative")
