"""`with_storage`: checks a function when it is decorated, on the driver, and puts a `Shim` in its place."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, NoReturn, TypeVar, overload

from actorc.signatures import signature_of

from ._shim import Shim
from .steps.attempt_policy import AttemptPolicy
from .steps.contract import Contract, Parameter
from .steps.function_version import declared_identity
from .values.annotations.annotation import ANY, RUNTIME, STORAGE, Annotation, OrNone
from .values.annotations.annotation_reader import parameter_annotations, result_annotation
from .values.loading.record_fields import remember_classes

__all__ = ["with_storage"]

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: Final = ("store", "inline_max", "pickle")
"""Options that travel with the function; a worker completes them by its own settings."""
_MEMO_OPTIONS: Final = ("cache", "version")
_ATTEMPT_OPTIONS: Final = ("retries", "backoff", "timeout")
_KNOWN: Final = (*_OPTIONS, *_MEMO_OPTIONS, *_ATTEMPT_OPTIONS)
_SECRETS: Final = ("access_key", "secret_key", "signing_key", "endpoint", "token", "credentials", "password", "use_ssl")
_RUNTIME_NAMES: Final = ("rt", "frt")
_Kind = inspect.Parameter


@overload
def with_storage(function: Function, /) -> Function: ...


@overload
def with_storage(
    *,
    store: str | None = None,
    inline_max: int | None = None,
    pickle: bool | None = None,
    cache: bool | timedelta | None = None,
    version: str | None = None,
    retries: int | None = None,
    backoff: float | timedelta | None = None,
    timeout: float | timedelta | None = None,
) -> Callable[[Function], Function]: ...


def with_storage(function: Any = None, /, **options: Any) -> Any:
    """Give a workflow function storage: references come in as values, big results go out as references.

    Goes directly above ``def``, below ``@function``. A parameter annotated `Storage` or `StorageClient`, or named
    ``storage``, is filled in and hidden from the signature; every other parameter that holds references, at any depth,
    gets their values as its annotation asks. The function then answers however its engine calls it: with a runtime,
    with keywords, or with one dict. The plain function stays available as ``__wrapped__``.

    Args:
        function: The function, when the decorator is used without parentheses.
        options: Each of them falls back to `storage_context`, the environment and the settings file.

            ``store`` (str): logical name of the store that results go to.
            ``inline_max`` (int): bytes of encoded JSON data up to which a result travels inline; 0 stores everything.
            ``pickle`` (bool): whether results that no other format holds may be pickled.
            ``cache`` (bool or timedelta): whether a result is kept and given back for equal inputs, in every run and
            process, and for how long. Results are kept by the function's name and version and by the digests of its
            inputs; all callers get the first one that was kept.
            ``version`` (str): takes the place of the code, the constants and the packages that decide what the function
                does, all of which count otherwise. Give one where these cannot be known.
            ``retries`` (int): how many more attempts there are after one that failed: the function, or a generator that
            it returned, raised, or the storage says that it may answer later. An argument that cannot be loaded, or a
            result of the wrong type, fails at once. Each attempt gets values and scratch directories of its own.
            ``backoff`` (float or timedelta): seconds before the second attempt, 1 if it is left out; twice as many
            before each further one, up to five minutes. Chance takes up to half of each pause.
            ``timeout`` (float or timedelta): seconds that each attempt may take, loading its arguments and storing its
            result included. It runs in a process of its own, which is killed when it is late, with all that it started.
            Where the function or an argument cannot be sent there, a warning says so; a late attempt then
            fails, goes on without a result, and no other follows.

    Raises:
        TypeError: It is not directly above a def, is there twice, an option is unknown or of the wrong type, or the
            function takes parameters that cannot arrive by name.
        ValueError: An option has an impossible value.
    """
    _check_options(options)
    if function is None:
        return lambda target: _decorate(target, options)
    if options:
        raise TypeError("with_storage takes its options by keyword and the function by decoration")
    return _decorate(function, options)


def _decorate(function: Any, options: dict[str, Any]) -> Shim:
    # All mistakes that can be seen are reported here, on the driver, where the traceback leads to the decorated line.
    _check_target(function)
    signature = signature_of(function)
    classes: dict[str, type] = {}
    contract = contract_of(function, options, classes)
    # On the function itself, which is pickled by value together with its attributes.
    remember_classes(function, classes)
    visible = [signature.parameters[parameter.name] for parameter in contract.parameters]
    shown = signature.replace(parameters=visible)
    return Shim(contract.shipped(), version=contract.version, function=function, signature=shown)


def contract_of(
    function: Callable[..., Any], options: dict[str, Any], classes: dict[str, type] | None = None
) -> Contract:
    """Return the contract of `function`.

    `classes` is filled with the dataclasses that parameters are annotated with, which travel with the function.
    """
    signature = signature_of(function)
    annotations = parameter_annotations(function, classes)
    _check_parameters(function, signature)
    injected = tuple(name for name, annotation in annotations.items() if _is_injected(name, annotation))
    parameters = signature.parameters.values()
    named = [item for item in parameters if item.kind is not _Kind.VAR_KEYWORD and item.name not in injected]
    return Contract(
        name=function.__name__,
        qualname=function.__qualname__,
        module=function.__module__,
        doc=function.__doc__,
        parameters=tuple(_parameter(item, annotations[item.name]) for item in named),
        inject=injected,
        takes_runtime=bool(named) and (named[0].name in _RUNTIME_NAMES or annotations[named[0].name] == RUNTIME),
        more=next((annotations[item.name] for item in parameters if item.kind is _Kind.VAR_KEYWORD), None),
        result=result_annotation(function),
        options={name: options.get(name) for name in _OPTIONS},
        identity=declared_identity(function, options.get("version")),
        cache=_cached(options.get("cache")),
        is_async=_is_async(function),
        attempts=AttemptPolicy.of_options(options),
    )


def _parameter(item: inspect.Parameter, annotation: Annotation) -> Parameter:
    shippable = ANY if annotation == RUNTIME else annotation
    return Parameter(name=item.name, annotation=shippable, is_required=item.default is item.empty)


def _is_async(function: Callable[..., Any]) -> bool:
    inner = inspect.unwrap(function)  # which a wrapper made with functools.wraps only passes on
    return inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner)


def _cached(cache: bool | timedelta | None) -> bool | float:
    """Return whether results are kept: for ever, not at all, or for so many seconds."""
    return cache.total_seconds() if isinstance(cache, timedelta) else bool(cache)


def _is_injected(name: str, annotation: Annotation) -> bool:
    return name == "storage" or annotation in (STORAGE, OrNone(STORAGE))


def _check_options(options: dict[str, Any]) -> None:
    for name in options:
        # An error of its own: options are pickled with the function, and would be readable in every store and log.
        if name in _SECRETS:
            raise TypeError(
                f"with_storage takes no {name}; connection and credentials are never shipped to workers. Set "
                "STORAGE_ENDPOINT, STORAGE_ACCESS_KEY and STORAGE_SECRET_KEY where the function runs"
            )
        if name not in _KNOWN:
            known = ", ".join(_KNOWN)
            raise TypeError(f"with_storage has no option {name!r}; it takes {known}")
    # By exact type: True as a number of bytes is a mistake.
    _check_type(options, "store", str)
    _check_type(options, "inline_max", int)
    _check_type(options, "pickle", bool)
    _check_type(options, "version", str)
    _check_cache(options.get("cache"))
    AttemptPolicy.of_options(options)
    if (options.get("inline_max") or 0) < 0:
        raise ValueError(f"inline_max is a number of bytes from 0 up, not {options['inline_max']}")


def _check_cache(cache: object) -> None:
    if not (cache is None or isinstance(cache, (bool, timedelta))):
        raise TypeError(f"with_storage takes cache as True, False or a timedelta, not {type(cache).__name__}")
    if isinstance(cache, timedelta) and cache <= timedelta(0):
        raise ValueError("cache is a timedelta greater than zero; leave it out to keep nothing")


def _check_type(options: dict[str, Any], name: str, kind: type) -> None:
    value = options.get(name)
    if value is not None and type(value) is not kind:
        raise TypeError(f"with_storage takes {name} as {kind.__name__}, not {type(value).__name__}")


def _check_target(function: Any) -> None:
    # Twice would resolve references twice, and the outer one would see plain values as references of the user.
    if isinstance(function, Shim):
        raise TypeError(f"{function.__name__!r} has @with_storage twice; remove one")
    if inspect.isfunction(function):
        return
    if hasattr(type(function), "export"):
        raise TypeError(
            f"@with_storage was put above the {type(function).__name__} that @function or @workflow made; put it "
            "directly above def, below @function. A workflow gets storage through lucas_storage.run()"
        )
    raise TypeError(
        f"@with_storage takes a function written with def, not a {type(function).__name__}; "
        "put it directly above def, and wrap a partial or a callable object in a def of its own"
    )


def _check_parameters(function: Callable[..., Any], signature: inspect.Signature) -> None:
    for parameter in signature.parameters.values():
        if parameter.kind is _Kind.VAR_POSITIONAL:
            _refuse(function, f"takes *{parameter.name}, and engines pass parameters by name", "name each of them")
        if parameter.kind is _Kind.POSITIONAL_ONLY:
            _refuse(function, f"takes {parameter.name!r} by position only; engines pass it by name", "remove the '/'")


def _refuse(function: Callable[..., Any], problem: str, remedy: str) -> NoReturn:
    raise TypeError(f"{function.__qualname__!r} {problem}; {remedy}")
