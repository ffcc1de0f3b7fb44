"""Identity and version of a function, under which cached results and checkpoints are recorded.

Both are computed where the function is decorated, since a worker has no source.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import textwrap
from collections.abc import Callable
from pathlib import PurePath
from types import CodeType
from typing import Any, Final

_MAIN: Final = ("__main__", "__mp_main__")


def function_id(function: Callable[..., Any]) -> str:
    """Return ``module:qualname``; a script is known by its file's name, as every one of them is ``__main__``."""
    module = function.__module__
    if module in _MAIN:
        names = getattr(function, "__globals__", {})
        spec, file = names.get("__spec__"), names.get("__file__")
        module = spec.name if spec is not None else PurePath(file).name if file else module
    return f"{module}:{function.__qualname__}"


def function_version(function: Callable[..., Any], version: str | None) -> str:
    """Return the `version` that was given, or else a digest of the function's own source.

    The source begins at ``def``, so decorators do not count, and neither do the functions it calls.
    """
    if version is not None:
        return f"version:{version}"
    source = _source(function)
    if source is not None:
        return f"source:{hashlib.sha256(source.encode()).hexdigest()}"
    # Typed in at a prompt, so only the bytecode is left, which depends on the version of Python.
    parts = [f"{sys.version_info.major}.{sys.version_info.minor}", *_code_parts(function.__code__)]
    return f"code:{hashlib.sha256(repr(parts).encode()).hexdigest()}"


def _source(function: Callable[..., Any]) -> str | None:
    try:
        text = textwrap.dedent(inspect.getsource(function))
        node = ast.parse(text).body[0]
    except (OSError, TypeError, SyntaxError, ValueError, IndexError):
        return None
    if not isinstance(node, ast.FunctionDef):
        return None
    # Without trailing blanks, so that a formatter does not make every cached result stale.
    return "\n".join(line.rstrip() for line in text.splitlines()[node.lineno - 1 :])


def _code_parts(code: CodeType) -> list[str]:
    parts = [code.co_code.hex(), repr(code.co_names), repr(code.co_varnames)]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            parts += _code_parts(constant)
        else:
            # A set literal is a frozenset constant, whose order depends on the hash seed.
            parts.append(repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant))
    return parts
