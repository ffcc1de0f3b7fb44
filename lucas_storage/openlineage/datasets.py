"""Artifacts as datasets of OpenLineage: named by store, bucket and key, which follows from their content."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lucas_storage.refs import ArtifactRef

from . import facets


def inputs(mentions: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the datasets of the references among mentions; data that travels within a call is none."""
    return _datasets(mentions, "inputFacets", facets.input_statistics)


def outputs(mentions: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the same for what a job wrote."""
    return _datasets(mentions, "outputFacets", facets.output_statistics)


def _datasets(mentions: Iterable[Any], field: str, statistics: Callable[[int], facets.Facets]) -> list[dict[str, Any]]:
    # One for each artifact, however often it was passed.
    refs = {(ref.store, ref.bucket, ref.key): ref for ref in mentions if isinstance(ref, ArtifactRef)}
    return [
        {
            "namespace": f"lucas://{ref.store}/{ref.bucket}",
            "name": ref.key,
            "facets": {**(facets.dataset_version(ref.digest) if ref.digest else {}), **facets.storage(ref.format)},
            field: statistics(ref.size),
        }
        for ref in refs.values()
    ]
