"""The OpenAPI 3.1 document, made of the routes: their parameters and answers are declared once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from actorc.version import version

from .routes import ROOT, Content, Events, Route

_REF: Final = "#/components/schemas/{name}"
_PROBLEM: Final = {
    "type": "object",
    "description": "A failure, as RFC 9457 has it.",
    "required": ["type", "title", "status", "detail", "code", "message", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened, and what to do next."},
        "code": {"type": "string", "description": "Short CamelCase name of the kind of failure."},
        "message": {"type": "string", "description": "The same as detail, as all failures over HTTP have it."},
        "request_id": {"type": "string", "description": "The server's log has it, too."},
    },
}
_NO_JSON: Final = (Content, Events)
_MALFORMED: Final = {
    "type": "object",
    "required": ["code", "message", "request_id"],
    "properties": {name: {"type": "string"} for name in ("code", "message", "request_id")},
}
_EVENT: Final = {
    "type": "object",
    "description": "One of the server-sent events; data is JSON of the schema that the event is named after.",
    "properties": {"event": {"type": "string"}, "id": {"type": "string"}, "data": {"type": "string"}},
}
_EVENTS: Final = {"text/event-stream": {"schema": _EVENT}}
_TOKEN: Final = {"type": "http", "scheme": "bearer", "description": "What 'lucas-storage token' prints."}
_SIGNATURE: Final = {
    name: {"type": "apiKey", "in": "header", "name": f"x-acs-{name}", "description": meaning}
    for name, meaning in (
        ("key", "The access key."),
        ("date", "Milliseconds since 1970-01-01 UTC."),
        ("hash", "SHA-256 of the body, of no bytes for GET, in hexadecimal."),
        ("sig", "HMAC-SHA-256 as docs/api.md describes it, in hexadecimal."),
    )
}


def document(routes: Sequence[Route], *, is_open: bool) -> dict[str, Any]:
    """Return the document.

    Args:
        routes: All routes.
        is_open: Whether the server asks nobody who is calling.
    """
    answers = [route.answer for route in routes if route.answer not in _NO_JSON]
    bodies = [route.body for route in routes if route.body is not None]
    kinds = [*(route.parameters for route in routes), *bodies]
    schemas, components = msgspec.json.schema_components([*answers, *kinds], ref_template=_REF)
    of_answer = dict(zip(map(id, answers), schemas, strict=False))
    of_parameters = dict(zip(map(id, kinds), schemas[len(answers) :], strict=True))
    # parameters stand in the operations; a body has a schema, too
    hidden = {_name(of_parameters[id(route.parameters)]) for route in routes if route.parameters not in bodies}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        described = _operation(
            route, of_answer.get(id(route.answer)), components[_name(of_parameters[id(route.parameters)])]
        )
        if route.body is not None:
            body = {"application/json": {"schema": of_parameters[id(route.body)]}}
            described["requestBody"] = {"required": True, "content": body}
        paths.setdefault(ROOT + route.path, {})[route.method.lower()] = described
    shown = {name: schema for name, schema in components.items() if name not in hidden}
    return {
        "openapi": "3.1.0",
        "info": {"title": "lucas-storage", "version": version(), "description": "Storage and runs of workflows."},
        "paths": paths,
        "components": {
            "schemas": {**shown, "Problem": _PROBLEM},
            **({} if is_open else {"securitySchemes": {"token": _TOKEN, **_SIGNATURE}}),
        },
        **({} if is_open else {"security": [{"token": []}, {name: [] for name in _SIGNATURE}]}),
    }


def _operation(route: Route, answer: dict[str, Any] | None, parameters: dict[str, Any]) -> dict[str, Any]:
    content = _EVENTS if route.answer is Events else _content(answer)
    problem = {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}}
    # a request that is no HTTP, or whose URL is too long, belongs to no route
    refused = {**problem, "application/json": {"schema": _MALFORMED}}
    described: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": [
            _parameter(name, schema, route, parameters) for name, schema in parameters["properties"].items()
        ],
        "responses": {
            str(route.status): {"description": "The answer.", "content": content},
            "4XX": {"description": "The request is refused.", "content": refused},
            "5XX": {"description": "The server failed, or is busy.", "content": problem},
        },
    }
    if route.answer is Events:
        described["responses"]["204"] = {"description": "There is nothing that the client has not got."}
    if route.answer is Content:
        described["responses"]["206"] = {"description": "The range that was asked for.", "content": content}
    if route.is_public:
        described["security"] = []
    return described


def _content(answer: dict[str, Any] | None) -> dict[str, Any]:
    return {"*/*": {"schema": {}}} if answer is None else {"application/json": {"schema": answer}}


def _parameter(name: str, schema: dict[str, Any], route: Route, parameters: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in schema.items() if key != "description"}
    is_in_path = name in route.path_names
    return {
        "name": name,
        "in": "path" if is_in_path else "query",
        "required": is_in_path or name in parameters.get("required", ()),
        "description": schema.get("description", ""),
        "schema": kept,
    }


def _name(reference: dict[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]
