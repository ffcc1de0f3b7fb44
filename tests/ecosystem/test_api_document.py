"""The OpenAPI document of the API, held against a live server by schemathesis: every route, all of its checks."""

from __future__ import annotations

from collections import Counter

import pytest

from actorc.storage import StorageClient
from actorc.storage.server import ServerOptions, StorageServer
from actorc.storage.server.auth.access import EVERYTHING
from actorc.storage.server.auth.access_keys import own_key
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.testing import local_server
from actorc.storage.tokens import new_token
from lucas_storage import Storage, embedded, last_run, run, with_storage

pytestmark = [pytest.mark.slow, pytest.mark.ecosystem]

EXAMPLES = 12
"""Of each route; the phase of examples at the limits of each parameter comes on top."""


def violations(server, headers):
    """Return how many requests of each route were made, and what the checks found."""
    schemathesis = pytest.importorskip("schemathesis", exc_type=ImportError)
    engine = pytest.importorskip("schemathesis.engine", exc_type=ImportError)
    schema = schemathesis.openapi.from_url(f"{server.http_endpoint}/api/v1/openapi.json", headers=headers)
    schema.config.update(headers=headers)
    schema.config.generation.update(max_examples=EXAMPLES, deterministic=True, database="none")
    made, found = Counter(), []
    for event in engine.from_schema(schema).execute():
        if isinstance(event, engine.events.ScenarioFinished):
            for checks in event.recorder.checks.values():
                found += [
                    (event.recorder.label, check.name, str(check.failure_info)) for check in checks if is_wrong(check)
                ]
            made[event.recorder.label] += len(event.recorder.cases)
        if isinstance(event, engine.events.NonFatalError):
            found.append((event.label, "error", str(event.info)))
    return made, found


def is_wrong(check):
    """Return whether a check failed; no schema can say what of all texts is a page token, or a reference."""
    failure = check.failure_info
    sent = getattr(failure, "code_sample", "")
    made_up = check.name == "positive_data_acceptance" and ("page_token=" in sent or "ref=" in sent)
    return failure is not None and not made_up


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_server_without_keys_is_as_its_document_says():
    with local_server(http=True) as server, server.client() as client:
        client.put_object("bucket", "key", b"0123456789", metadata={"a": "b"})
        made, found = violations(server, {})

    assert found == []
    assert all(made.values()), made


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_server_with_keys_is_as_its_document_says(tmp_path):
    add_key(tmp_path / "keys.json", [EVERYTHING])
    # in no file: whatever is tried with the keys that are listed, the one that tries it goes on
    own, secret = own_key(closes=True)
    token = new_token(own.key.id, secret, seconds=3600)
    options = ServerOptions(
        engine="memory://", listen="127.0.0.1:0", http="127.0.0.1:0", keys=tmp_path / "keys.json", grace=0.0
    )
    with StorageServer(options, own=own) as server, StorageClient(server.address, own.key.id, secret) as client:
        client.create_bucket("bucket")
        made, found = violations(server, {"Authorization": f"Bearer {token}"})

    assert found == []
    assert all(made.values()), made


@pytest.fixture
def told(tmp_path, monkeypatch):
    """A server that holds a run, a publication and an object, and a query for each of its routes."""
    np = pytest.importorskip("numpy")
    monkeypatch.setenv("LUCAS_STORAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LUCAS_STORAGE_SIGNING_KEY", "made-for-this-test-alone")
    with local_server(http=True) as server, server.client() as client:
        monkeypatch.setenv("STORAGE_ENDPOINT", server.endpoint)
        embedded.install()
        from lucas import function, workflow

        @function
        @with_storage
        def make(count: int):
            return np.arange(count)

        @function
        @with_storage
        def total(values: np.ndarray):
            return int(values.sum())

        @workflow
        def adds(wf):
            return wf.call("total", {"values": wf.call("make", {"count": 100_000})})

        run(adds, {})
        client.put_object("bucket", "key", b"a,b\n1,2\n", content_type="text/csv", metadata={"a": "b"})
        with Storage() as storage:
            step = last_run().steps[0]
            ref = step.outputs[0].ref
            storage.publish(ref, "name", version="1", alias="best")
        known = {"run": last_run().id, "before": "last", "step": step.key, "name": "name", "ref": ref.uri}
        yield server, {**known, "bucket": "bucket", "key": "key"}


def test_every_route_answers_as_its_document_says_where_there_is_something(told):
    schemathesis = pytest.importorskip("schemathesis", exc_type=ImportError)
    server, known = told
    schema = schemathesis.openapi.from_url(f"{server.http_endpoint}/api/v1/openapi.json")
    answered = Counter()
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.startswith("/api/v1/keys"):
            continue  # which a server without keys refuses
        names = {each.name for each in operation.query}
        query = {name: known[name] for name in ("key", "ref", "before") if name in names}
        path = {each.name: known[each.name] for each in operation.path_parameters}
        answer = operation.Case(path_parameters=path, query=query).call_and_validate()
        answered[answer.status_code] += 1

    assert set(answered) == {200}, answered
    assert answered[200] >= 20
