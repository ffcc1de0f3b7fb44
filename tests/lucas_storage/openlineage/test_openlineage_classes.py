"""The events are those of OpenLineage's own package: its classes take every field, and know every facet."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest

from lucas_storage import run, storage_context

pytest.importorskip("openlineage.client", reason="its classes judge the events, and it is not installed")

pytestmark = pytest.mark.ecosystem

PLACES = {
    "parent": "ParentRunFacet",
    "processing_engine": "ProcessingEngineRunFacet",
    "errorMessage": "ErrorMessageRunFacet",
    "tags": "TagsRunFacet",
    "jobType": "JobTypeJobFacet",
    "sourceCode": "SourceCodeJobFacet",
    "version": "DatasetVersionDatasetFacet",
    "storage": "StorageDatasetFacet",
    "inputStatistics": "InputStatisticsInputDatasetFacet",
    "outputStatistics": "OutputStatisticsOutputDatasetFacet",
}
"""By their names in the specification, which the classes do not have."""


def classes():
    """Return the classes of all modules that are made from the specification, by name."""
    import pkgutil
    from importlib import import_module

    from openlineage.client import generated

    modules = [import_module(each.name) for each in pkgutil.iter_modules(generated.__path__, f"{generated.__name__}.")]
    return {name: value for module in modules for name, value in vars(module).items() if isinstance(value, type)}


def without_version(schema):
    return re.sub(r"/\d+-\d+-\d+/", "/", schema)


@pytest.mark.filterwarnings("ignore")  # of that package
def test_the_classes_of_openlineage_take_every_event(storage, study, tmp_path, events_in):
    known, seen = classes(), set()
    with storage_context(openlineage_file=tmp_path / "events.json"):
        for n in (20_000, 0):
            with suppress(ValueError):
                run(study, {"n": n})

    for event in events_in(tmp_path / "events.json"):
        made_run = known["Run"](**event["run"])
        made_job = known["Job"](**event["job"])
        inputs = [known["InputDataset"](**each) for each in event["inputs"]]
        outputs = [known["OutputDataset"](**each) for each in event["outputs"]]
        whole = {name: event[name] for name in ("eventTime", "producer")}
        made = known["RunEvent"](**whole, run=made_run, job=made_job, inputs=inputs, outputs=outputs)
        assert without_version(made.schemaURL) == without_version(event["schemaURL"])
        holders = [event["run"], event["job"], *event["inputs"], *event["outputs"]]
        found = [each for holder in holders for name in holder if "acets" in name for each in holder[name].items()]
        for name, facet in found:
            kind = known[PLACES[name]]
            kind(**{field: value for field, value in facet.items() if not field.startswith("_")})
            assert without_version(kind._get_schema()) == without_version(facet["_schemaURL"])
            seen.add(name)

    assert seen == set(PLACES)
