"""`Shim`: the picklable object in place of a decorated function.

Unpickling a shim must never fail and never be slow: a worker that cannot load a function stops serving altogether. So
this module needs the standard library alone, the user's function travels as a pickle within the pickle, and that is
unpickled at the first call, where a failure is an error of the call. No client, setting or credential travels.
"""

from __future__ import annotations

import io
import pickle
import threading
import uuid
from collections.abc import Callable, Mapping
from types import MethodType
from typing import TYPE_CHECKING, Any, Final

from lucas_storage._tracebacks import shortened

from . import source_lines

if TYPE_CHECKING:
    from lucas_storage.records.distant_steps import Place
    from lucas_storage.steps.contract import ShippedContract
    from lucas_storage.steps.step import Step

    from .function_pickler import FunctionPickler

VERSION: Final = 3
"""The newest version of shims that is read here; an older worker refuses to call one that it could not honour."""

_shipping = threading.local()
"""Per thread: the shims being pickled, outermost first, and those around the one being unpickled."""


class Shim:
    """A decorated function: callable in every way Lucas calls functions, by any thread, and safe to ship.

    Args:
        contract: The contract of the function, as plain data.
        version: The lowest version of workers that can honour the contract.
        function: The user's function; a shipped shim has its pickle instead.
        signature: Its signature without the injected parameters.
        token: Names this shim in its own pickle.
        packed: The pickle of the function, with its source.
        around: The shims within whose pickle this one lay, by token.
    """

    def __init__(
        self,
        contract: ShippedContract,
        *,
        version: int = 1,
        function: Callable[..., Any] | None = None,
        signature: Any = None,
        token: str = "",
        packed: bytes | None = None,
        around: Mapping[str, Shim] | None = None,
    ) -> None:
        self.token = token or uuid.uuid4().hex
        self._contract = contract
        self._version = version
        self._family: dict[str, Shim] = {**(around or {}), self.token: self}
        self._packed = packed
        # Guards the first unpickling, which imports the user's modules and must happen once. Reentrant, since `opened`
        # unpickles while it holds it.
        self._lock = threading.RLock()
        self._step: Step | None = None
        # From the contract and not from the function, which a shipped shim does not have yet.
        for name in ("name", "qualname", "module", "doc"):
            setattr(self, f"__{name}__", contract[name])
        if function is not None:
            self.__wrapped__ = function
            self.__signature__ = signature

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function with values for its references, and return its result with references for big values."""
        with shortened:
            # Without the lock once it is open: calls of one function run in parallel.
            step = self._step or self.opened()
            return step(args, kwargs)

    def called_at(self, place: Place | None, given: dict[str, Any]) -> Any:
        """Call the function as a step of the run of another process.

        Args:
            place: Where the record of the step belongs; None if there is no such run.
            given: The arguments.
        """
        if place is None:  # the rest of the package is not needed before the first call
            return self(**given)
        from lucas_storage.records.run_log import part_of_run  # noqa: PLC0415

        with part_of_run(place):
            return self(**given)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<with_storage {self._contract['module']}.{self._contract['qualname']}>"

    def __getattr__(self, name: str) -> Any:
        """Return, on first use, the attributes that a shipped shim lacks: its function, and a signature of names."""
        if name == "__wrapped__":
            self.__wrapped__ = self._unpack()
            return self.__wrapped__
        if name == "__signature__":
            self.__signature__ = _signature(self._contract["parameters"])
            return self.__signature__
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced(self.packed_here or self.pack())

    @property
    def packed_here(self) -> bytes | None:
        """The pickle of the function as it came, if it lay in no other shim; a worker may not be able to load it."""
        return self._packed if len(self._family) == 1 else None

    def reduced(self, packed: bytes) -> tuple[Any, ...]:
        """Return what the pickle of this shim consists of, with the pickle of the function in it."""
        from lucas_storage.settings import shipped_policy  # noqa: PLC0415  # only a process that ships needs settings

        contract: ShippedContract = {**self._contract, "options": shipped_policy(self._contract["options"])}
        if self._packed is None:
            contract["identity"] = self._identity(contract)
        return restore, (self._version, contract, self.token, packed)

    def _identity(self, contract: ShippedContract) -> tuple[str, str]:
        """Return the identity with the version of the function, which only the process that decorated it can tell."""
        from lucas_storage.steps.contract import Contract  # noqa: PLC0415  # only a process that ships needs these
        from lucas_storage.steps.function_version import shipped_identity  # noqa: PLC0415

        return shipped_identity(self.__wrapped__, Contract.from_shipped(contract), self.token)

    def opened(self) -> Step:
        """Return the step that a call of this shim makes, with the function loaded."""
        with self._lock:
            if self._step is None:
                # At the first call, since these bring the rest of the package.
                from lucas_storage.steps.contract import Contract  # noqa: PLC0415
                from lucas_storage.steps.step import Step  # noqa: PLC0415

                from .kept_function import KeptFunction  # noqa: PLC0415

                contract = Contract.from_shipped(self._contract)
                self._step = Step(self.__wrapped__, contract, self._shipped, KeptFunction(self))
            return self._step

    def _shipped(self) -> bytes:
        from .function_pickler import dumps  # noqa: PLC0415  # only a process that ships needs cloudpickle

        return dumps(self)

    def pack(self, pickler: type[FunctionPickler] | None = None, file: io.BytesIO | None = None) -> bytes:
        """Return the pickle of the function, in which a token stands for a shim that is being pickled already.

        Without it, a function that names itself, or two that name each other, would be pickled without end.
        """
        from .function_pickler import FunctionPickler  # noqa: PLC0415  # only a process that ships needs cloudpickle

        base = pickler or FunctionPickler

        class _WithTokens(base):  # type: ignore[misc, valid-type]
            def persistent_id(self, obj: object) -> str | None:
                return obj.token if isinstance(obj, Shim) and obj in shims else None

        shims = _shipping.__dict__.setdefault("shims", [])
        shims.append(self)
        try:
            writing = _WithTokens(io.BytesIO() if file is None else file)
            writing.dump(self.__wrapped__)
            packed: bytes = writing.packed()
            return packed
        finally:
            shims.pop()

    def _unpack(self) -> Any:
        family = self._family

        class _WithTokens(pickle.Unpickler):
            def persistent_load(self, token: str) -> Shim:
                return family[token]

        packed = self._packed or b""
        # Before it is loaded, so that an error of loading shows source lines, too.
        source_lines.show(packed)
        # Shims within this pickle are restored meanwhile and may name this one by its token; per thread, since other
        # threads unpickle other shims.
        with self._lock:
            outer, _shipping.family = getattr(_shipping, "family", {}), family
            try:
                return _WithTokens(io.BytesIO(packed)).load()
            except (Exception, SystemExit) as error:
                # SystemExit, too: a script without `if __name__ == "__main__"` may exit when it is imported.
                raise _load_error(self._contract, error) from error
            finally:
                _shipping.family = outer


def restore(version: int, contract: ShippedContract, token: str, packed: bytes) -> Callable[..., Any]:
    """Rebuild a shipped shim; named in pickles for ever.

    A shim of a later version is restored as well, and refuses to be called.
    """
    # An error here would end the worker, with all other functions that it serves.
    if version not in range(1, VERSION + 1):
        return _LaterVersion(version, contract)
    return Shim(contract, version=version, token=token, packed=packed, around=getattr(_shipping, "family", None))


restore.__module__ = "lucas_storage._shim"  # where processes of any version find it


class _LaterVersion:
    """A shim of a later version: it loads, so that the worker goes on, and raises `FunctionLoadError` when called."""

    def __init__(self, version: int, contract: ShippedContract) -> None:
        self._version = version
        self._name = str(contract.get("qualname", "a function")) if isinstance(contract, Mapping) else "a function"

    def __call__(self, *_: Any, **__: Any) -> Any:
        from lucas_storage.errors import FunctionLoadError  # noqa: PLC0415  # restoring a shim must not need it

        raise FunctionLoadError(
            f"{self._name!r} was shipped in format {self._version} and this worker reads format {VERSION}; "
            "install the same lucas-storage on both sides",
            function=self._name,
        )


def _load_error(contract: ShippedContract, error: BaseException) -> Exception:
    from lucas_storage.errors import FunctionLoadError  # noqa: PLC0415  # restoring a shim must not need it

    return FunctionLoadError(
        f"{contract['qualname']!r} could not be loaded here because of {type(error).__name__} ({error}); "
        "install what it imports on the worker, or define it in the module that is shipped",
        function=contract["qualname"],
    )


def _signature(parameters: tuple[tuple[str, Any, bool], ...]) -> Any:
    from inspect import Parameter, Signature  # noqa: PLC0415  # slow to import, and hardly asked for

    return Signature([Parameter(name, Parameter.KEYWORD_ONLY) for name, _, _ in parameters])
