"""Routes about runs: lists, one run, one step, the graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Final

import msgspec

from actorc.storage.server.api.json_text import shortened
from actorc.storage.server.api.routes import PageSize, Request, Route
from lucas_storage.errors import NotFoundError
from lucas_storage.lineage.graph import Graph
from lucas_storage.lineage.run_graph import graph_of
from lucas_storage.records import run_history
from lucas_storage.records.past_run import PastRun

from .request_store import OfStore, RequestStore
from .run_answers import RunDetail, RunPage, RunStep, detail, step, summary

_ID: Final = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_NAME: Final = 1000
"""Characters of a name in a graph."""
_BATCH: Final = 50
"""Runs that are read together."""
_SEEN: Final = 500
"""Runs that one request reads, at most, to find those that it asks for."""

RunId = Annotated[str, msgspec.Meta(pattern=f"^(last|{_ID})$", description="Id of the run; last is the latest.")]


class OfRuns(OfStore):
    """Those of a list of runs."""

    workflow: Annotated[
        str, msgspec.Meta(max_length=1024, description="Only runs of the workflow of this name; empty: of all.")
    ] = ""
    status: Annotated[
        str,
        msgspec.Meta(pattern="^(|succeeded|failed|running|lost)$", description="Only runs of this status; empty: all."),
    ] = ""
    page_size: PageSize = 20
    page_token: Annotated[
        str, msgspec.Meta(pattern=f"^({_ID})?$", description="next_page_token of the page before; none: the first.")
    ] = ""


class OfRun(OfStore, kw_only=True):
    """Those of one run."""

    run: RunId


class OfGraph(OfRun):
    """Those of the graph of a run."""

    folded: Annotated[bool, msgspec.Meta(description="Whether many alike steps are one node.")] = False


class OfStep(OfRun, kw_only=True):
    """Those of one step of a run."""

    step: Annotated[str, msgspec.Meta(max_length=1024, description="Key of the step.")]


def run_routes() -> list[Route]:
    """Return the routes about runs."""
    return [
        Route(
            path="/runs",
            name="runs",
            tag="runs",
            summary="List runs, the latest first.",
            answer=RunPage,
            handle=_runs,
            parameters=OfRuns,
        ),
        Route(
            path="/runs/{run}",
            name="run",
            tag="runs",
            summary="Describe a run and all of its steps, without those of their fields that are large.",
            answer=RunDetail,
            handle=lambda request, parameters: detail(run_of(request, parameters)),
            parameters=OfRun,
        ),
        Route(
            path="/runs/{run}/graph",
            name="graph",
            tag="runs",
            summary="Tell which step took what from which, as nodes and edges.",
            answer=Graph,
            handle=_graph,
            parameters=OfGraph,
        ),
        Route(
            path="/runs/{run}/steps/{step}",
            name="step",
            tag="runs",
            summary="Describe one step of a run, with its arguments and traceback however large they are.",
            answer=RunStep,
            handle=_step,
            parameters=OfStep,
        ),
    ]


def run_of(request: Request, parameters: OfRun) -> PastRun:
    """Return the run that a request is about.

    Raises:
        NotFoundError: There is none.
    """
    storage = RequestStore(request, parameters.bucket)
    # without a list of all runs where the id is known
    known = [parameters.run] if parameters.run != "last" else sorted(run_history.keys(storage))[-1:]
    found = run_history.read_all(storage, known)
    if not found:
        raise NotFoundError(f"there is no run {parameters.run} in the bucket {parameters.bucket}; /runs lists them")
    return found[0]


def _runs(request: Request, parameters: OfRuns) -> RunPage:
    storage = RequestStore(request, parameters.bucket)
    ids = sorted(run_history.keys(storage), reverse=True)
    if parameters.page_token:
        ids = [each for each in ids if each < parameters.page_token]
    shown: list[PastRun] = []
    last = ""
    for run in _read(storage, ids[:_SEEN]):
        last = run.key
        if _is_wanted(run, parameters):
            shown.append(run)
        if len(shown) == parameters.page_size:
            break
    else:
        last = ids[_SEEN - 1] if len(ids) > _SEEN else ""
    more = bool(last) and last != ids[-1]
    return RunPage(runs=tuple(map(summary, shown)), next_page_token=last if more else "")


def _read(storage: RequestStore, ids: list[str]) -> Iterator[PastRun]:
    for at in range(0, len(ids), _BATCH):
        yield from run_history.read_all(storage, ids[at : at + _BATCH])


def _is_wanted(run: PastRun, parameters: OfRuns) -> bool:
    return parameters.workflow in ("", run.workflow) and parameters.status in ("", run.status)


def _graph(request: Request, parameters: OfGraph) -> Graph:
    graph = graph_of(run_of(request, parameters))
    found = graph.folded() if parameters.folded else graph
    nodes = (replace(node, name=shortened(node.name, _NAME), note=shortened(node.note, _NAME)) for node in found.nodes)
    return replace(found, name=shortened(found.name, _NAME), nodes=tuple(nodes))


def _step(request: Request, parameters: OfStep) -> RunStep:
    run = run_of(request, parameters)
    for past in run.steps:
        if past.key == parameters.step:
            storage = RequestStore(request, parameters.bucket)
            return step(run_history.with_large_fields(storage, run.key, past))
    raise NotFoundError(f"the run {run.key} has no step {parameters.step[:100]!r}; the run lists those it has")
