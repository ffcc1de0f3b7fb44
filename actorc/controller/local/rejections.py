"""Texts of rejections: the reason and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb

from .functions import Callee, Function

GONE: Final = "is not held here any more, or never was; use results within the session that made them"
UNREADABLE: Final = "is a stream or in a language that is not read here; send a pickled value or JSON"


def unknown(name: str, known: Iterable[str]) -> str:
    """Return the rejection of a function that is not registered."""
    close = difflib.get_close_matches(name, list(known), 1)
    hint = f"did you mean {close[0]!r}?" if close else "register it first, as a function in Python"
    return f"the function {name!r} is not registered in this session; {hint}"


def unknown_method(name: str, function: Function) -> str:
    """Return the rejection of a method that the object does not have."""
    return f"{function.shown!r} has no method {name!r}; it has {_listed(function.methods)}"


def surplus(name: str, callee: Callee, param: str) -> str:
    """Return the rejection of an argument without a parameter."""
    return f"{name!r} has no parameter {param!r}; it takes {_listed(callee.params)}"


def missing(name: str, absent: list[str]) -> str:
    """Return the rejection of a call that lacks arguments."""
    return f"{name!r} was called without {_listed(absent)}; send every argument before the call"


def no_value(name: str, param: str, failure: str) -> str:
    """Return the rejection of an empty argument, with the failure of the earlier call that it may be the result of."""
    if failure:
        return f"the argument {param!r} of {name!r} has no value, as an earlier call failed; {failure}"
    return f"the argument {param!r} of {name!r} has no value; send one"


def unsupported(number: int) -> str:
    """Return the rejection of a command that this controller does not support."""
    known = number in pb.CommandType.values()
    what = pb.CommandType.Name(pb.CommandType.ValueType(number)) if known else f"the command {number}"
    return f"this controller runs functions in Python only and cannot carry out {what}; use ignis for it"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
