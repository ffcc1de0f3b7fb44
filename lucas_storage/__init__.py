"""Storage for Lucas workflows: references travel between steps, values arrive in functions.

Importing this package loads neither gRPC nor numpy; public names are imported on first use.
"""

from __future__ import annotations

from importlib import import_module

import _actorc_precedence

TYPE_CHECKING = False  # not that of `typing`, which loads for longer than anything else before Ctrl-C is quiet
if TYPE_CHECKING:
    from typing import Any

    __version__: str

    from . import errors, testing
    from ._run import run
    from .decorator import with_storage
    from .executor import StorageExecutor
    from .formats import register_format
    from .lineage.runs import last_run, runs
    from .lineage.why import uses, why
    from .local_service.local import local
    from .outputs import Out
    from .refs import ArtifactRef
    from .settings import storage_context
    from .storage import Storage
    from .values.in_options import In

__all__ = [
    "ArtifactRef",
    "In",
    "Out",
    "Storage",
    "StorageExecutor",
    "__version__",
    "errors",
    "last_run",
    "load_ipython_extension",
    "local",
    "register_format",
    "run",
    "runs",
    "storage_context",
    "testing",
    "unload_ipython_extension",
    "uses",
    "why",
    "with_storage",
]

_HOMES = {
    "ArtifactRef": "refs",
    "In": "values.in_options",
    "Out": "outputs",
    "Storage": "storage",
    "StorageExecutor": "executor",
    "last_run": "lineage.runs",
    "local": "local_service.local",
    "register_format": "formats",
    "run": "_run",
    "runs": "lineage.runs",
    "storage_context": "settings",
    "uses": "lineage.why",
    "why": "lineage.why",
    "with_storage": "decorator",
}


# Before anything imports `actorc`: upstream's package of that name may be installed beside this one.
_actorc_precedence.require()


def load_ipython_extension(shell: Any) -> None:
    """Do as `local()`, and show artifacts and runs in a notebook; what ``%load_ext lucas_storage`` calls.

    Args:
        shell: The running IPython shell.

    Raises:
        StorageError: As `local`.
    """
    import_module(".notebook.extension", __name__).load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Take back what the extension changed of how a notebook shows things; what ``%unload_ext lucas_storage`` calls."""
    import_module(".notebook.extension", __name__).unload(shell)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("actorc.version").version()
    if name in ("errors", "testing"):
        return import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
