"""Calls a decorated function: binds and loads its arguments, runs it or recalls its result, and stores the result."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from itertools import chain
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeAlias

from lucas_storage import _tracebacks, current, settings, step_spans
from lucas_storage.artifacts import scratch
from lucas_storage.artifacts.cache import leases
from lucas_storage.errors import CacheKeyError
from lucas_storage.reach.renewal import renew_taken
from lucas_storage.records import run_log
from lucas_storage.records.memo import Memo
from lucas_storage.records.recorded_functions import RecordedFunction, ShippedFunction
from lucas_storage.records.step_note import StepNote, mentioned
from lucas_storage.refs import is_tagged
from lucas_storage.storage import storage_for
from lucas_storage.values import wire_form
from lucas_storage.values.loading import incoming
from lucas_storage.values.loading.record_fields import classes_of
from lucas_storage.values.result_check import check_result
from lucas_storage.values.storing import inner_artifacts, outgoing
from lucas_storage.values.storing.policy import ByOptions
from lucas_storage.values.storing.rereadable import rereadable

from .argument_binding import ArgumentBinder
from .attempts import AttemptUnderWay, Stage, repeated
from .call_key import call_key
from .contract import Contract
from .function_version import FunctionVersion
from .runtime import StorageRuntime

if TYPE_CHECKING:
    from .timed_attempts import TimedAttempts

logger = logging.getLogger(__name__)

_Inputs: TypeAlias = Callable[[], Any]
"""Returns the arguments as they travelled."""


class _Once:
    """The result of a function, which is called when it is first asked for; cheaper to make than a cache."""

    __slots__ = ("_make", "made")

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make
        self.made: str | None = None
        """The result; None as long as nobody has asked."""

    def __call__(self) -> str:
        if self.made is None:
            self.made = self._make()
        return self.made


class Step:
    """A function and its contract, ready to be called in this process, by any number of threads.

    Args:
        function: The user's function.
        contract: Its contract.
        shipped: Returns the decorated function, pickled, for a process of its own; None if there is no way to.
        kept: The same function for records, which keep none without it.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        contract: Contract,
        shipped: Callable[[], bytes] | None = None,
        kept: ShippedFunction | None = None,
    ) -> None:
        self._function = function
        self._name = contract.name
        self._binder = ArgumentBinder(contract)
        self._inject = contract.inject
        self._result_annotation = contract.result
        self._options = contract.options
        self._classes = classes_of(function)
        self._identity = contract.identity
        self._version = FunctionVersion(function, contract)
        self._recorded = None if kept is None else RecordedFunction(kept)
        self._cache = contract.cache
        self._attempts = contract.attempts
        self._timed = _timed(contract, shipped)
        self._warned = False

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function and return its result as it travels.

        Raises:
            TypeError: Parameters are missing or surplus, or do not convert to their annotations, or the result is not
                of its own.
            ArtifactError: A reference cannot be resolved, or a result not stored; names function and parameter.
            Exception: Whatever the function raises, as it is.
        """
        # Bound before anything is loaded: a missing parameter is reported without a download.
        runtime = self._binder.runtime(args, kwargs)
        given = self._binder.by_name(args, kwargs) if runtime is None else None
        inputs: _Inputs = (lambda: given) if runtime is None else runtime.input
        key, scope = self._scope(inputs, is_nested=current.step_scope() is not None)
        with (
            step_spans.step(self._name) as span,
            current.step(scope),
            run_log.step(self._name, inputs, self._recorded) as note,
        ):
            if note is not None:
                note.version = self._version.known()
                renew_taken(chain.from_iterable(note.inputs.values()))
            # Once: the environment and the settings file are asked at every call of every function.
            present = settings.of_step()
            policy = ByOptions(self._options, present)
            with contextlib.nullcontext() if note is None else inner_artifacts.collected(note.inner):
                out, reused = self._result(
                    scope, present, policy, lambda: self._attempted(runtime, given, policy, note), note
                )
            if note is not None:
                note.outputs, note.returned, note.reused = mentioned(out), out, reused
            _tell(span, key, note, reused=reused)
            return out

    def _result(
        self,
        scope: current.StepScope,
        present: settings.StepSettings,
        policy: ByOptions,
        stored: Callable[[], Any],
        note: StepNote | None,
    ) -> tuple[Any, bool]:
        """Return the result as it travels, and whether it is that of an earlier call."""
        shipped: bool | None = self._options.get("resume")
        resume = present.resume if shipped is None else shipped
        if self._cache or resume:
            return self._memoized(scope, policy, stored, note)
        # Before the call, since the function may change its arguments.
        key = self._known_key(scope) if resume is None and run_log.keeps_results() else None
        out = stored()
        if key is not None:
            # Recorded although nothing is cached: a run that is killed can be resumed from the steps that ended.
            run_log.write_later(lambda: self._memo(key, policy).prepared(out))
            _name_memo(note, key)
        return out, False

    def _memoized(
        self, scope: current.StepScope, policy: ByOptions, stored: Callable[[], Any], note: StepNote | None
    ) -> tuple[Any, bool]:
        # With `cache=True` a value without a key is the user's error; a run that resumes just runs the step again.
        key = scope.key() if self._cache else self._known_key(scope, self._warn_once)
        if key is None:
            return stored(), False
        _name_memo(note, key)
        memo = self._memo(key, policy)
        with memo.single_flight(wait=not scope.is_nested):
            # Within the flight of this call, so that a thread that waited finds the result of the other one.
            found = memo.recall()
            if found is not None:
                return wire_form.tagged(found[0]), True
            return wire_form.tagged(memo.remember(wire_form.with_refs(stored()))), False

    def attempt_alone(
        self, attempt: AttemptUnderWay, runtime: Any, given: Mapping[str, Any] | None, *, is_nested: bool
    ) -> Any:
        """Make one attempt for a process that does everything else, and return the result as it travels.

        Args:
            attempt: Says how far it has come.
            runtime: Of a function that takes one.
            given: The arguments of other functions.
            is_nested: Whether another step called this one.
        """
        _, scope = self._scope((lambda: given) if runtime is None else runtime.input, is_nested=is_nested)
        with current.step(scope):
            return self._stored(attempt, runtime, given, ByOptions(self._options, settings.of_step()))

    def _scope(self, inputs: _Inputs, *, is_nested: bool) -> tuple[_Once, current.StepScope]:
        key = _Once(lambda: self._key(inputs()))
        return key, current.StepScope(function=self._name, key=key, is_nested=is_nested)

    def _attempted(
        self, runtime: Any, given: Mapping[str, Any] | None, policy: ByOptions, note: StepNote | None
    ) -> Any:
        if given is not None and self._attempts.retries:
            given = rereadable(given, policy)

        def here(attempt: AttemptUnderWay) -> Any:
            return self._stored(attempt, runtime, given, policy)

        make = here if self._timed is None else self._timed.of_call(runtime, given, policy, note, here)
        return repeated(make, self._attempts, self._name, note)

    def _stored(
        self, attempt: AttemptUnderWay, runtime: Any, given: Mapping[str, Any] | None, policy: ByOptions
    ) -> Any:
        # Until the result is stored: it may lie in the scratch directory, or be a file of the cache.
        with scratch.step(), leases.step():
            value = self._call_with_values(attempt, runtime, given, policy)
            attempt.stage = Stage.CHECKING
            check_result(value, self._result_annotation, self._name)
            attempt.stage = Stage.STORING
            return outgoing.result(value, self._result_annotation, policy, self._name)

    def _call_with_values(
        self, attempt: AttemptUnderWay, runtime: Any, given: Mapping[str, Any] | None, policy: ByOptions
    ) -> Any:
        # Resolved here, in the process of the step: a handle is never shipped, since it holds credentials.
        injected = {name: storage_for(policy().store) for name in self._inject}
        if given is None:
            attempt.stage = Stage.CALLING
            return self._call_function(StorageRuntime(runtime, self._name, policy), **injected)
        annotations = self._binder.annotations_of(given)
        values = incoming.resolve(given, annotations, self._name, policy, self._classes)
        late = self._binder.read_later(given)
        if late and current.run_id() is None:  # otherwise it was renewed for the record
            renew_taken(mentioned(late))
        attempt.stage = Stage.CALLING
        return self._call_function(**values, **injected)

    # Marked, so that tracebacks show the user's frame even if the function came from an installed package.
    @_tracebacks.seam
    def _call_function(self, /, *args: Any, **kwargs: Any) -> Any:
        value = self._function(*args, **kwargs)
        # By what it returned: a wrapper of an async function may be a plain one.
        if isinstance(value, (CoroutineType, AsyncIterator)):
            return _ended(value)
        return value

    def _known_key(
        self, scope: current.StepScope, unknown: Callable[[CacheKeyError], None] = lambda _: None
    ) -> str | None:
        """Return the key of this call, or None if an argument has no canonical form."""
        try:
            return scope.key()
        except CacheKeyError as error:
            unknown(error)
            return None

    def _memo(self, key: str, policy: ByOptions) -> Memo:
        age = None if isinstance(self._cache, bool) else self._cache
        return Memo(run_log.storage_in_force(policy().store), key, self._identity[0], age)

    def _key(self, given: Any) -> str:
        inputs = given if type(given) is dict and not is_tagged(given) else {"input": given}
        return call_key(self._version.identity(), self._function, inputs, self._binder.annotations_of(inputs))

    def _warn_once(self, error: CacheKeyError) -> None:
        if not self._warned:
            self._warned = True
            logger.warning("%s; this step runs every time", error.message)


def _tell(span: step_spans.Block, key: _Once, note: StepNote | None, *, reused: bool) -> None:
    """Tell the span of a step how it went; its call key only if that was found out anyway, which takes time."""
    if reused:
        span.reused()
    span.set({"lucas.call_key": key.made or "", "lucas.step.id": "" if note is None else note.key})


def _name_memo(note: StepNote | None, key: str) -> None:
    if note is not None:
        note.memo = key


def _timed(contract: Contract, shipped: Callable[[], bytes] | None) -> TimedAttempts | None:
    if contract.attempts.timeout is None:
        return None
    from .timed_attempts import TimedAttempts  # noqa: PLC0415  # few steps need processes, and each worker starts sooner

    return TimedAttempts(contract.name, contract.attempts.timeout, shipped)


def _ended(value: Any) -> Any:
    from . import own_loop  # noqa: PLC0415  # asyncio is slow to import, and few steps need it

    return own_loop.run(value) if isinstance(value, CoroutineType) else own_loop.items(value)
