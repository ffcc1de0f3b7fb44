"""The record of a step, filled in while it runs."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeAlias

from lucas_storage import current
from lucas_storage._tracebacks import shorten
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.containers import PLAIN, walked
from lucas_storage.engine.provenance import current_place
from lucas_storage.refs import ArtifactRef, is_tagged
from lucas_storage.values.storing.inner_artifacts import Inner

from . import record_text
from .machine import machine_name
from .past_run import StepState
from .recorded_functions import RecordedFunction
from .recorded_values import recorded, recorded_result
from .result_fingerprint import fingerprint
from .ulid import ulid

_MESSAGE_MAX: Final = 4_000
_TRACEBACK_MAX: Final = 16_000
"""Characters; of a longer text the begin and the end are kept."""
_MENTIONED: Final = 1000
"""References of one value that are recorded; the rest of a larger fan-out is in the records of its steps."""
_LARGE: Final = ("given", "traceback", "attempts")
"""Fields that only the record of the step itself has where they are large, and that of its run has not."""
_SHORT: Final = 256
"""Bytes of a result that is recorded; of a longer one its fingerprint is, since the memo or the next step has it."""
SMALL_MAX: Final = 2048
"""Bytes of a record of a step that the record of its run repeats whole."""

RecordedValues: TypeAlias = str
"""``all``, ``errors`` or ``none``: how far arguments and errors are recorded."""


@dataclass(slots=True, kw_only=True)
class StepNote:
    """What is known of one step; for the thread of the step, and once it has ended for that which writes records."""

    function: str
    inputs: dict[str, Any]
    """References by parameter."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """The arguments as they travelled."""
    code: RecordedFunction | None = None
    key: str = field(default_factory=ulid)
    after: list[str] = field(default_factory=list)
    """Keys of the steps whose results it takes, and of the step that called it; of those that are recorded."""
    started: float = field(default_factory=time.time)
    """Seconds since 1970."""
    seconds: float = 0.0
    outputs: list[Any] = field(default_factory=list)
    returned: Any = None
    """The result as it travels; None as long as there is none."""
    is_ended: bool = False
    reused: bool = False
    """Whether an earlier result took the place of a call."""
    error: str | None = None
    """Name of the class of the exception."""
    message: str | None = None
    traceback: str | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)
    """Those that it took, as the record has them; empty if the first one was enough."""
    version: str | None = None
    """The version of the function, if it can be known."""
    memo: str | None = None
    """The key of the cached result that holds its result."""
    inner: list[Inner] = field(default_factory=list)
    """The artifacts that it stored within others."""
    values: RecordedValues = "none"
    is_going_on: bool = False
    """Whether a record says that it runs."""
    told: str | None = None
    """The name of the record that another process writes, if that runs the step."""
    calls: list[str] = field(default_factory=list)
    """Keys of the steps that it called in another process than that of the run, and that have records there."""
    repeated: bytes | None = None
    """The record as that of the run repeats it, once it is made."""

    @property
    def state(self) -> StepState:
        """How far it is."""
        if not self.is_ended:
            return "running"
        return "failed" if self.error else "reused" if self.reused else "succeeded"

    def failed(self, error: BaseException) -> None:
        """Note the exception that ended the step."""
        self.error = type(error).__name__
        if self.values != "none":
            self.message, self.traceback = message_of(error), traceback_of(error)

    def source(self) -> str | None:
        """Return the source of the function, if it may be recorded."""
        return self.code.source() if self.code is not None and self.values == "all" else None

    def attempted(self, seconds: float, error: BaseException | None) -> None:
        """Note one of several attempts."""
        found: dict[str, Any] = {"seconds": seconds, "error": type(error).__name__ if error else None}
        if error is not None and self.values != "none":
            found |= {"message": message_of(error), "traceback": traceback_of(error)}
        self.attempts.append(found)

    def facts(self) -> dict[str, Any]:
        """Return the record without what takes time to find out."""
        found = {
            "step": 1,
            "key": self.key,
            "after": self.after,
            "function": self.function,
            "started": self.started,
            "seconds": self.seconds,
            "state": self.state,
            "reused": self.reused,
            "error": self.error,
            "version": self.version,
            "machine": None if self.told else machine_name(),
            "in": self.inputs,
            "out": self.outputs,
            "size_in": sum(map(_size, (ref for refs in self.inputs.values() for ref in refs))),
            "size_out": sum(map(_size, self.outputs)),
        }
        errors = {"message": self.message, "traceback": self.traceback, "attempts": self.attempts}
        # Without a digest where the outer one travels within the call, since nothing is stored that holds these.
        inner = [{"of": None if outer.inline is not None else outer.digest, "refs": refs} for outer, refs in self.inner]
        more = {"memo": self.memo, "inner": inner, "told": self.told, "calls": self.calls, **errors}
        return found | {name: value for name, value in more.items() if value}

    def record(self, storage: ArtifactStore) -> bytes:
        """Return the whole record, encoded, and store what it refers to; on the thread that writes records.

        Args:
            storage: Its default bucket takes it.
        """
        return self._encoded(storage, None, 0) or b""

    def record_beside_run(self, storage: ArtifactStore, functions: dict[bytes, int], room: int) -> bytes | None:
        """Return what `record` does, and note what the record of the run repeats; None if that repeats all of it.

        Args:
            storage: Its default bucket takes both records.
            functions: By the fields of each function, encoded, its number in the record of the run; is added to.
            room: Bytes up to which the record of the run repeats all of this one, which is not needed then.
        """
        return self._encoded(storage, functions, room)

    def _encoded(self, storage: ArtifactStore, functions: dict[bytes, int] | None, room: int) -> bytes | None:
        is_ended, facts, parts, code = self.is_ended, self.facts(), {}, {}
        if self.values == "all":
            code = self.code.fields(storage, self.version) if self.code else {}
            parts = {**parts_of(self.given, "given"), **self._result()}
        code = {"version": json.dumps(facts.pop("version")).encode(), **code}
        if not is_ended:
            return record_text.encode_facts(facts, {**code, **parts})
        self.given, self.returned = {}, None
        if functions is None:
            return record_text.encode_facts(facts, {**code, **parts})
        # The run has thousands of steps and few functions.
        number = functions.setdefault(record_text.encode_facts({}, code), len(functions))
        numbered = {"code": b"%d" % number}
        self.repeated = record_text.encode_facts(facts, {**numbered, **parts})
        if len(self.repeated) <= room:
            return None
        text = record_text.encode_facts(facts, {**code, **parts})
        if len(text) > SMALL_MAX:
            parts = {name: part for name, part in parts.items() if name not in _LARGE}
            self.repeated = record_text.encode_facts(brief(facts), {**numbered, **parts})
        return text

    def _result(self) -> dict[str, bytes]:
        """Return the fields of the result; none of one artifact, which is all that the references say."""
        if self.returned is None or (is_tagged(self.returned) and ArtifactRef.parse(self.returned).inline is None):
            return {}
        found = recorded_result(self.function, self.returned)
        if found is None or len(found) <= _SHORT:
            return {} if found is None else {"returned": found}
        digits = fingerprint(self.returned)
        return {} if digits is None else {"fingerprint": json.dumps(digits).encode()}


def brief(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a step without the fields that may be large."""
    return {name: value for name, value in record.items() if name not in _LARGE} | {"brief": True}


def place_in_graph(note: StepNote) -> None:
    """Add to a record, and to the place of the step in its graph, which step follows which."""
    place, scope = current_place(), current.step_scope()
    if place is None:
        return
    if scope is not None and scope.is_nested:
        note.after += place.recorded[-1:]
    else:
        note.after += place.after
        place.recorded.append(note.key)


class measured:  # noqa: N801  # as those of `contextlib`, at a quarter of the cost
    """A block of which is noted how long it takes, and its error."""

    __slots__ = ("_note", "_start")

    def __init__(self, note: StepNote) -> None:
        self._note = note

    def __enter__(self) -> None:
        # Not `time.time`: the clock of the machine may be set during a step.
        self._start = time.perf_counter()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._note.seconds = time.perf_counter() - self._start
        if error is not None:
            self._note.failed(error)


def parts_of(given: Mapping[str, Any], name: str) -> dict[str, bytes]:
    """Return the fields, encoded, with values as they travel, and with the names of those that are left out."""
    kept, withheld = recorded(given)
    return {name: kept, "withheld": json.dumps(withheld).encode()} if withheld else {name: kept}


def mentioned(value: Any) -> list[Any]:
    """Return the references in a value as it travels; of an inline one only format and size, never its value."""
    if type(value) in PLAIN:
        return []
    if is_tagged(value):  # as most values that are no scalars
        return [_mention(ArtifactRef.parse(value))]
    refs = (ArtifactRef.parse(item) for item in walked(value) if type(item) is ArtifactRef or is_tagged(item))
    return [_mention(ref) for ref in islice(refs, _MENTIONED)]


def _mention(ref: ArtifactRef) -> Any:
    return ref if ref.inline is None else {"inline": ref.format, "size": ref.size}


def _size(mention: Any) -> int:
    return int(mention.size if type(mention) is ArtifactRef else mention["size"])


def message_of(error: BaseException) -> str:
    """Return the message of an exception, cut if it is long."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  # it is the user's method
        text = "its message cannot be shown"
    return _recordable(text, _MESSAGE_MAX)


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an exception up to the user's own line, as errors are shown, and those of its causes."""
    shorten(error)
    try:
        text = "".join(traceback.format_exception(error))
    except Exception as other:  # noqa: BLE001  # the user's methods again
        text = f"the traceback cannot be shown because of {type(other).__name__}"
    return _recordable(text, _TRACEBACK_MAX)


def _recordable(text: str, most: int) -> str:
    if len(text) > most:
        left_out = len(text) - most
        text = f"{text[: most // 2]}\n… {left_out} characters …\n{text[-most // 2 :]}"
    # A record is UTF-8, which has no lone surrogates.
    return text.encode("utf-8", "backslashreplace").decode()
