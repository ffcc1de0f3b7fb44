"""Spans of OpenTelemetry, for programs that have set it up.

OpenTelemetry is imported here only where the program has done so before. Without a provider of spans, `started` returns
`NO_SPAN`, which costs a fraction of a microsecond. A span holds names, sizes and outcomes, never content or secrets.

Processors, samplers and exporters are whatever the program has chosen. What they raise is logged once and ends the span
or makes it incomplete; the work that is told goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from .provider import tell, tracer

if TYPE_CHECKING:
    from opentelemetry import trace as api
    from opentelemetry.context import Context

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
"""Headers that carry the context of a call (W3C Trace Context)."""

Headers = tuple[tuple[str, str], ...]
"""The context of a span as it travels: pairs of header and value."""
Attributes = Mapping[str, "str | int | float | bool"]
"""Attributes of a span; an empty text is left out."""

_MAX_TEXT: Final = 1024
"""Characters of an attribute: as many as a key may have; longer texts are cut."""
_MAX_STATE: Final = 512
"""Characters of a tracestate that are taken over, which is as many as everybody must (W3C Trace Context, 3.3.1.5)."""
_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.{0,64})?"
)


class Kind(Enum):
    """The side of a call that a span tells."""

    CLIENT = "CLIENT"
    SERVER = "SERVER"
    INTERNAL = "INTERNAL"


class Span:
    """A span that is not recorded, and the base of those that are. Any thread may end it, once."""

    is_recorded: bool = False
    """Whether attributes are of use to anybody."""
    trace_id: str = ""
    """In hexadecimal; empty without a trace."""
    headers: Headers = ()
    """The context for those that are called within the span; empty without a trace."""

    def set(self, attributes: Attributes) -> None:
        """Add attributes."""

    def rename(self, name: str) -> None:
        """Give it another name, which was not known when it began."""

    def add_event(self, name: str, attributes: Attributes) -> None:
        """Add something that happened now."""

    def end(self, error: str = "", message: str = "") -> None:
        """End the span; without this call it is never exported.

        Args:
            error: What kind of failure it ended with, such as the name of a class; empty if it succeeded.
            message: The text of that failure.
        """

    def active(self) -> AbstractContextManager[None]:
        """Make the span the parent of those that are started within the block, on this thread."""
        return _NOTHING


NO_SPAN: Final = Span()
"""The span where nothing is traced."""
_NOTHING: Final = nullcontext[None](None)


def started(
    name: str,
    kind: Kind = Kind.INTERNAL,
    attributes: Attributes | None = None,
    *,
    headers: Mapping[str, Any] | None = None,
) -> Span:
    """Return a span that begins now; `NO_SPAN` where the program has set up no OpenTelemetry.

    Args:
        name: Its name, of which there are few.
        kind: The side of a call.
        attributes: Attributes that a sampler may decide by.
        headers: The headers of a caller, which may name the parent; None: the parent is the active span.
    """
    try:
        found = tracer()
        if found is None:
            return NO_SPAN
        from opentelemetry.trace import SpanKind  # noqa: PLC0415  # imported already, as there is a tracer

        context = None if headers is None else _context_of(headers)
        return _Recorded(found.start_span(name, context, SpanKind[kind.value], _cleaned(attributes or {})))
    except Exception as error:  # noqa: BLE001  # parts of the program's choice raise what they like
        tell(error)
        return NO_SPAN


def is_on() -> bool:
    """Return whether the program has set up OpenTelemetry; for code that has to find attributes."""
    return tracer() is not None


def active_span() -> Span:
    """Return the span whose block this is; `NO_SPAN` without one."""
    if tracer() is None:
        return NO_SPAN
    from opentelemetry.trace import INVALID_SPAN, get_current_span  # noqa: PLC0415

    span = get_current_span()
    try:
        return NO_SPAN if span is INVALID_SPAN else _Recorded(span)
    except Exception as error:  # noqa: BLE001  # likewise
        tell(error)
        return NO_SPAN


def within(headers: Mapping[str, Any] | None) -> AbstractContextManager[None]:
    """Make the span that `headers` name the parent of those that are started within the block, on this thread."""
    if not headers or tracer() is None:
        return _NOTHING
    return _Attached(_context_of(headers))


def trace_id_in(headers: Mapping[str, Any]) -> str:
    """Return the id of the trace that a caller names, whether or not it is traced here; empty if it names none."""
    offered = headers.get(TRACEPARENT)
    found = _TRACEPARENT.fullmatch(offered) if isinstance(offered, str) else None
    return found[1] if found else ""


class _Recorded(Span):
    """A span of OpenTelemetry."""

    def __init__(self, span: api.Span) -> None:
        self._span = span
        context = span.get_span_context()
        self.is_recorded = span.is_recording()
        if context.is_valid:
            self.trace_id = f"{context.trace_id:032x}"
            parent = f"00-{self.trace_id}-{context.span_id:016x}-{context.trace_flags:02x}"
            state = context.trace_state.to_header()
            self.headers = ((TRACEPARENT, parent), (TRACESTATE, state)) if state else ((TRACEPARENT, parent),)

    def set(self, attributes: Attributes) -> None:
        if self.is_recorded:
            self._tried(lambda: self._span.set_attributes(_cleaned(attributes)))

    def rename(self, name: str) -> None:
        self._tried(lambda: self._span.update_name(name))

    def add_event(self, name: str, attributes: Attributes) -> None:
        if self.is_recorded:
            self._tried(lambda: self._span.add_event(name, _cleaned(attributes)))

    def end(self, error: str = "", message: str = "") -> None:
        if error and self.is_recorded:
            self._tried(lambda: self._fail(error, message))
        self._tried(self._span.end)

    def _fail(self, error: str, message: str) -> None:
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415

        self._span.set_attribute("error.type", _text(error))
        self._span.set_status(Status(StatusCode.ERROR, _text(message) or None))

    def _tried(self, told: Callable[[], object]) -> None:
        try:
            told()
        except Exception as error:  # noqa: BLE001  # as above
            tell(error)

    def active(self) -> AbstractContextManager[None]:
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415

        return _Attached(set_span_in_context(self._span))


class _Attached(AbstractContextManager[None]):
    """A block with another context, for one use; a class, since a generator takes twice as long."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        from opentelemetry.context import attach  # noqa: PLC0415

        self._token = attach(self._context)

    def __exit__(self, *_: object) -> None:
        from opentelemetry.context import detach  # noqa: PLC0415

        detach(self._token)


def _context_of(headers: Mapping[str, Any]) -> Context:
    """Return the context that headers name; one without a parent if they name none. Strangers write them."""
    from opentelemetry.context import Context  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    if not trace_id_in(headers):
        return Context()
    state = headers.get(TRACESTATE)
    carrier = {TRACEPARENT: headers[TRACEPARENT]}
    if isinstance(state, str) and len(state) <= _MAX_STATE:
        carrier[TRACESTATE] = state
    return TraceContextTextMapPropagator().extract(carrier, Context())


def _cleaned(attributes: Attributes) -> dict[str, str | int | float | bool]:
    return {
        name: _text(value) if isinstance(value, str) else value for name, value in attributes.items() if value != ""
    }


def _text(text: str) -> str:
    # exporters write UTF-8, which has no lone surrogates; one of them would cost the whole batch
    return text[:_MAX_TEXT].encode("utf-8", "backslashreplace").decode()
