"""Training pipelines: functions in several copies, and workflows that load data, process it and train a model."""

from __future__ import annotations

import inspect
import itertools
from typing import TYPE_CHECKING, Any

from lucas_storage.embedded.decorators import function, workflow
from lucas_storage.embedded.errors import needs_genuine
from lucas_storage.embedded.workflow.route import routeBuilder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lucas_storage.embedded.functions import Function
    from lucas_storage.embedded.workflow.context import WorkflowContext
    from lucas_storage.embedded.workflow.dag import DAG
    from lucas_storage.embedded.workflow.ld import Lambda
    from lucas_storage.embedded.workflow.workflow import Workflow


class DataProcessFunction:
    """One function, registered several times.

    Args:
        fns: The copies.
    """

    def __init__(self, fns: Iterable[Function]) -> None:
        self._fns = list(fns)

    def export(self) -> Callable[[], Function]:
        """Return a function that returns the copies in turn."""
        return itertools.cycle(self._fns).__next__


def data_process(
    num_workers: int = 1,
    wrapper: Any = None,
    dependency: Any = None,
    provider: str | None = None,
    name: str | None = None,
    venv: str | None = None,
) -> Callable[[Callable[..., Any]], DataProcessFunction]:
    """Register a function `num_workers` times, so that calls of its name go to the copies in turn.

    Args:
        num_workers: Number of copies.
        wrapper: As for `@function`, like the next two and `venv`.
        dependency: The packages that the function needs.
        provider: The platform.
        name: Name for calls; else the function's own name.
        venv: The environment it runs in.

    Raises:
        ValueError: `num_workers` is not positive.
    """
    if num_workers < 1:
        raise ValueError(f"data_process needs a positive number of workers, not {num_workers}")
    config = {"wrapper": wrapper, "dependency": dependency, "provider": provider, "venv": venv}
    # Without None, which would count as a chosen provider or wrapper.
    given = {key: value for key, value in config.items() if value is not None}

    def decorate(fn: Callable[..., Any]) -> DataProcessFunction:
        group = name or fn.__name__
        copies = DataProcessFunction(
            function(name=f"{group}_worker_{number}", **given)(fn) for number in range(num_workers)
        )
        routeBuilder.group(group).set_group_func(copies.export())
        return copies

    return decorate


class TrainerConfig:
    """The keywords of `@function` for one step of a pipeline."""

    def __init__(self, wrapper: Any, dependency: Any, provider: Any, name: str, venv: Any) -> None:
        self.wrapper = wrapper
        self.dependency = dependency
        self.provider = provider
        self.name = name
        self.venv = venv

    def export(self) -> dict[str, Any]:
        """Return them as a dict."""
        return dict(vars(self))


class TrainerPipeline:
    """A workflow of up to three functions: one loads data, one processes them, and one trains a model with them.

    The first of them takes the workflow's inputs, by the names of its parameters; each of the others takes the result
    of the one before, for each of its parameters.
    """

    def __init__(
        self,
        data_loader: Callable[..., Any] | None = None,
        data_processer: Callable[..., Any] | None = None,
        model_trainer: Callable[..., Any] | None = None,
        data_loader_config: TrainerConfig | None = None,
        data_processer_config: TrainerConfig | None = None,
        model_trainer_config: TrainerConfig | None = None,
    ) -> None:
        self._given = {
            "data_loader": (data_loader, data_loader_config),
            "data_processer": (data_processer, data_processer_config),
            "model_trainer": (model_trainer, model_trainer_config),
        }

    def export(self, executor: Callable[[DAG], Any]) -> WorkflowContext:
        """Register the functions and return the workflow.

        Raises:
            ValueError: There is no function, or one without its configuration.
        """
        # Registered here, not in the body of the workflow, which runs once for every run.
        steps = [self._registered(part, fn, config) for part, (fn, config) in self._given.items() if fn is not None]
        if not steps:
            raise ValueError("a pipeline needs a function, such as data_loader")

        @workflow(executor=executor)
        def training_pipeline_workflow(wf: Workflow) -> Lambda:
            (first, parameters), *others = steps
            inputs = wf.input()
            made = wf.call(first, {parameter: inputs[parameter] for parameter in parameters})
            for name, taken in others:
                made = wf.call(name, dict.fromkeys(taken, made))
            return made

        return training_pipeline_workflow

    @staticmethod
    def _registered(part: str, fn: Callable[..., Any], config: TrainerConfig | None) -> tuple[str, list[str]]:
        """Register a function and return its name and its parameters."""
        if config is None:
            raise ValueError(f"the pipeline has a {part} and no {part}_config")
        function(**config.export())(fn)
        return config.name, list(inspect.signature(fn).parameters)


def __getattr__(name: str) -> Any:
    if name in {"ParameterServer", "Trainer"}:
        raise ImportError(needs_genuine(f"lucas.train.trainer.{name}"), name=__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
