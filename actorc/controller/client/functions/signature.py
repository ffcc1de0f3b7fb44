"""Signatures of functions, and how the arguments of a call are matched to them."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from actorc.controller.errors import ParameterError
from actorc.signatures import signature_of

_BUNDLE: Final = "params"
"""The only parameter of a function that takes its whole input as one dict."""
_RUNTIMES: Final = ("rt", "frt")
_Kind = inspect.Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The parameters of one function, each passed by name. Immutable."""

    function: str
    """The name under which it is registered."""
    names: tuple[str, ...]
    """Parameter names in order."""
    defaults: Mapping[str, Any]
    """Default values; the platform knows no defaults and waits for every parameter, so they are filled in here."""

    @classmethod
    def of(cls, function: Callable[..., Any], name: str) -> Signature:
        """Read the signature of `function`.

        Raises:
            ParameterError: A parameter cannot be passed by name.
        """
        parameters = signature_of(function).parameters.values()
        for parameter in parameters:
            if parameter.kind not in (_Kind.POSITIONAL_OR_KEYWORD, _Kind.KEYWORD_ONLY):
                raise ParameterError(
                    f"{name!r} takes {_shown(parameter)}, and the platform passes every parameter by its name; "
                    "name each of them",
                    function=name,
                )
        defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
        return cls(function=name, names=tuple(each.name for each in parameters), defaults=defaults)

    def bundles(self, given: Iterable[str]) -> bool:
        """Return whether the arguments together form one dict, for the function's only parameter `params`."""
        return self.names == (_BUNDLE,) and set(given) != {_BUNDLE}

    def completed(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return a value for every parameter, in order; defaults fill the gaps.

        Raises:
            ParameterError: Parameters are missing or surplus.
        """
        missing = [name for name in self.names if name not in given and name not in self.defaults]
        surplus = [name for name in given if name not in self.names]
        if missing or surplus:
            raise self._error(missing, surplus)
        return {name: given[name] if name in given else self.defaults[name] for name in self.names}

    def _error(self, missing: list[str], surplus: list[str]) -> ParameterError:
        problems = [f"did not get {_listed(missing)}"] * bool(missing)
        problems += [f"got {_listed(surplus)}, which it does not take"] * bool(surplus)
        return ParameterError(
            f"{self.function!r} {' and '.join(problems)}; {self._remedy(missing, surplus)}", function=self.function
        )

    def _remedy(self, missing: list[str], surplus: list[str]) -> str:
        if self.names[:1] in {(name,) for name in _RUNTIMES}:
            return "the actor platform passes no runtime, so name the inputs as parameters instead"
        close = [
            f"{match!r} by {name!r}"
            for name in surplus
            for match in difflib.get_close_matches(name, missing or self.names, 1)
        ]
        meant = f"; did you mean {' and '.join(close)}?" if close else ""
        return f"it takes {_listed(self.names) or 'nothing'}{meant}"


Signature.__module__ = "actorc.controller.signature"  # where processes of any version find it


def _shown(parameter: inspect.Parameter) -> str:
    if parameter.kind is _Kind.POSITIONAL_ONLY:
        return f"{parameter.name!r} by position only"
    return f"{'*' if parameter.kind is _Kind.VAR_POSITIONAL else '**'}{parameter.name}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(str(name)) for name in names)
