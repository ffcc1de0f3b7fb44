"""Facets: the parts of an event that have a schema of their own. Each is one of the core of OpenLineage."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, TypeAlias

from actorc.version import version

Facets: TypeAlias = dict[str, Any]

_SCHEMAS: Final = "https://openlineage.io/spec/facets"
_CORE: Final = "lucas-storage"


@cache
def producer() -> str:
    """Return the URI of what makes the events."""
    return f"https://pypi.org/project/lucas-storage/{version()}/"


def parent(run: str, namespace: str, workflow: str) -> Facets:
    """Return the facet that names the run of a step, which is also the root of all."""
    of_run = {"run": {"runId": run}, "job": {"namespace": namespace, "name": workflow}}
    return {"parent": _facet("1-2-0", "ParentRunFacet", **of_run, root=of_run)}


def engine() -> Facets:
    """Return the facet that names this package as the engine of a run."""
    said = {"name": _CORE, "version": version(), "openlineageAdapterVersion": version()}
    return {"processing_engine": _facet("1-1-1", "ProcessingEngineRunFacet", **said)}


def error_message(message: str, traceback: str | None) -> Facets:
    """Return the facet of an exception."""
    trace = {} if traceback is None else {"stackTrace": traceback}
    return {
        "errorMessage": _facet("1-0-1", "ErrorMessageRunFacet", message=message, programmingLanguage="PYTHON", **trace)
    }


def tags(named: Mapping[str, str | None]) -> Facets:
    """Return the facet of other facts about a run; those that are None are left out."""
    known = [{"key": key, "value": value, "source": _CORE} for key, value in named.items() if value is not None]
    return {"tags": _facet("1-0-0", "TagsRunFacet", tags=known)} if known else {}


def job_type(kind: str) -> Facets:
    """Return the facet that tells a ``WORKFLOW`` from a ``STEP``."""
    return {"jobType": _facet("2-0-4", "JobTypeJobFacet", processingType="BATCH", integration="LUCAS", jobType=kind)}


def source_code(text: str) -> Facets:
    """Return the facet with the source of a function."""
    return {"sourceCode": _facet("1-0-1", "SourceCodeJobFacet", language="PYTHON", sourceCode=text)}


def dataset_version(digest: str) -> Facets:
    """Return the facet with the digest of an artifact."""
    return {"version": _facet("1-0-1", "DatasetVersionDatasetFacet", datasetVersion=digest)}


def storage(file_format: str) -> Facets:
    """Return the facet with the format of an artifact."""
    return {"storage": _facet("1-0-1", "StorageDatasetFacet", storageLayer=_CORE, fileFormat=file_format)}


def output_statistics(size: int) -> Facets:
    """Return the facet with the bytes of an output."""
    return {"outputStatistics": _facet("1-0-2", "OutputStatisticsOutputDatasetFacet", size=size)}


def input_statistics(size: int) -> Facets:
    """Return the facet with the bytes of an input."""
    return {"inputStatistics": _facet("1-0-0", "InputStatisticsInputDatasetFacet", size=size)}


def _facet(schema: str, name: str, /, **content: Any) -> Facets:
    return {"_producer": producer(), "_schemaURL": f"{_SCHEMAS}/{schema}/{name}.json#/$defs/{name}", **content}
