"""One declaration of each route: its path, its parameters and its answer. Requests are read and described by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from actorc.storage._wire.direct_calls import Carrier
from actorc.storage.rules import API_ROOT, MAX_KEY_CHARACTERS, MAX_PAGE
from actorc.storage.server.auth.access import Principal
from actorc.storage.server.auth.authorized_store import AuthorizedStore
from actorc.storage.server.http.errors import Refusal

ROOT: Final = API_ROOT
_MAX_PARAMETERS: Final = 32

BucketName = Annotated[
    str,
    msgspec.Meta(
        min_length=3, max_length=63, pattern="^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", description="Name of the bucket."
    ),
]
Key = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=MAX_KEY_CHARACTERS,
        pattern=r"^[^/\u0000][^\u0000]*$",
        description="Key of the object.",
    ),
]
PageSize = Annotated[
    int, msgspec.Meta(ge=1, le=MAX_PAGE, description="Entries in the page, at most; a page may have fewer.")
]
PageToken = Annotated[
    str,
    msgspec.Meta(
        max_length=8192, description="next_page_token of the page before, of the same listing; none: the first page."
    ),
]


class Parameters(msgspec.Struct, forbid_unknown_fields=True):
    """The parameters of a route. Those that its path names stand there, the others in the query."""


class NoParameters(Parameters):
    """Those of a route that takes none."""


P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as a route sees it, on a thread that may block."""

    principal: Principal
    """The caller."""
    store: AuthorizedStore
    """The operations, as the caller may use them."""
    calls: Carrier
    """Carries the calls of a client in this process, in the name of the caller; see `actorc.storage.in_process`."""
    seconds: float
    """Seconds after which these calls fail."""
    last_event_id: str = ""
    """Of the last event that the client got, if it connects again to a stream."""
    body: Any = None
    """The body, if the route takes one, as `Route.body` has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """An answer that is the bytes of an object."""

    bucket: str
    key: str


class Events:
    """Stands for an answer that is a stream of events; the route returns an `EventSource`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route. Its names are for ever."""

    path: str
    """Behind `ROOT`; parameters in braces."""
    name: str
    """Of the operation in the OpenAPI document, unique."""
    tag: str
    """Group of operations in the OpenAPI document."""
    summary: str
    """One line."""
    answer: Any
    """Type of the answer, which JSON and its schema are made of; `Content` for bytes, `Events` for a stream."""
    handle: Callable[[Request, Any], Any]
    """Returns the answer for parameters; raises `Refusal` or `StorageError`."""
    parameters: type[Parameters] = NoParameters
    method: Literal["GET", "POST"] = "GET"
    """GET includes HEAD."""
    body: type[Parameters] | None = None
    """Of POST: its body, in JSON; None for one without."""
    status: int = 200
    """Of an answer in JSON."""
    is_public: bool = False
    """Whether it is answered without a caller."""

    @property
    def path_names(self) -> list[str]:
        """The parameters in the path, in order."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


class RouteTable:
    """Finds the routes of a path. Immutable."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes: Final = tuple(routes)
        self._by_length: dict[int, list[tuple[list[str], Route]]] = {}
        for route in routes:
            parts = route.path.strip("/").split("/")
            self._by_length.setdefault(len(parts), []).append((parts, route))

    def find(self, path: str) -> tuple[dict[str, Route], list[str]]:
        """Return the routes of a path behind `ROOT`, as received, by their method, and the parameters in it, in order.

        Raises:
            Refusal: There is none, or a segment is no text.
        """
        asked = path.strip("/").split("/") if path.startswith("/") and not path.endswith("/") else []
        found: dict[str, Route] = {}
        in_path: list[str] = []
        for parts, route in self._by_length.get(len(asked), ()):
            if all(part.startswith("{") or part == given for part, given in zip(parts, asked, strict=True)):
                found[route.method] = route
                in_path = [given for part, given in zip(parts, asked, strict=True) if part.startswith("{")]
        if not found:
            raise Refusal(404, "NoSuchRoute", f"there is nothing at this path; {ROOT}/openapi.json lists what there is")
        return found, list(map(_text, in_path))


def read_parameters(kind: type[P], in_path: Mapping[str, str], query: str) -> P:
    """Return the parameters of a request.

    Raises:
        Refusal: 400, a parameter is unknown, missing, repeated or not of its type; the message names it.
    """
    values: dict[str, str] = dict(in_path)
    for name, value in _pairs(query):
        if name in values:
            raise bad_request(f"the parameter {_shown(name)} is there twice, or a part of the path; give it once")
        values[name] = value
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise bad_request(_advice(str(error), kind)) from None


def read_body(kind: type[P], body: bytes) -> P:
    """Return the body of a request.

    Raises:
        Refusal: 400, it is no JSON, or a field is unknown, missing or not of its type; the message names it.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise bad_request(_advice(str(error), kind)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise bad_request("the body is no JSON; send an object") from None


def bad_request(message: str) -> Refusal:
    """Return the refusal of a request that is wrong."""
    return Refusal(400, "InvalidParameter", message)


def _pairs(query: str) -> Iterator[tuple[str, str]]:
    try:
        yield from parse_qsl(
            query, keep_blank_values=True, strict_parsing=bool(query), errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    except ValueError:
        raise bad_request(
            f"the query is no list of at most {_MAX_PARAMETERS} name=value in percent-encoded UTF-8; correct it"
        ) from None


def _advice(message: str, kind: type[Parameters]) -> str:
    known = ", ".join(kind.__struct_fields__) or "none"
    return f"{message[:300]}; the parameters are: {known}"


def _shown(name: str) -> str:
    return repr(name[:100])


def _text(segment: str) -> str:
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise bad_request("a part of the path is no percent-encoded UTF-8; correct it") from None
