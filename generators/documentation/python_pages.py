"""Pages of the reference: one for each part of the public surface, with a directive for each name that it exports.

The docstrings themselves are read by mkdocstrings when the site is built.
"""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Final, NamedTuple, TypeGuard

from actorc.storage.client_settings import CLIENT
from lucas_storage.declared_settings import WAYS


class Part(NamedTuple):
    """A page of the reference."""

    title: str
    """Its heading."""
    about: str
    """A sentence below it."""
    modules: tuple[str, ...]
    """Modules whose exported names it has, errors left to the page of errors."""


PARTS: Final = {
    "client": Part("Client", "Object storage from Python: calls, results and retries.", ("actorc.storage",)),
    "async-client": Part("Asynchronous client", "The same methods, awaited.", ()),
    "plugin": Part("Plugin", "Storage for Lucas workflows.", ("lucas_storage",)),
    "formats": Part("Formats", "Values as bytes, and formats of your own.", ("lucas_storage.formats",)),
    "testing": Part("Testing", "A real service in tests.", ("actorc.storage.testing", "lucas_storage.testing")),
    "tokens": Part("Tokens", "Tokens for the JSON API.", ("actorc.storage.tokens",)),
    "access-keys": Part(
        "Access keys", "Who may do what at a server, listed and changed over its API.", ("actorc.storage.access_keys",)
    ),
    "controller": Part(
        "Actor platform", "Calls to the actor platform; they need Lucas.", ("actorc.controller.context",)
    ),
}
"""By the name of the page."""

ERRORS: Final = ("lucas_storage.errors", "actorc.controller.errors")
"""Modules whose errors are on the page of errors, after those that ``actorc.storage`` exports."""

_HAND_WRITTEN: Final = {"__version__": "The version of the installed package, a text such as `0.1.0`."}
_OTHER_PAGE: Final = "actorc.storage.AsyncStorageClient"
"""Exported by the client's module, and on a page of its own."""
_MODULES: Final = {"lucas_storage.errors", "lucas_storage.testing"}
"""Exported modules, which have pages of their own."""


def pages() -> dict[str, str]:
    """Return the text of each page by its name."""
    return {
        **{
            name: _page(part.title, part.about, _exported(part.modules) or [_OTHER_PAGE])
            for name, part in PARTS.items()
        },
        "errors": _page("Errors", "One tree, of which `StorageError` is the root.", _errors()),
        "settings": _settings(),
    }


def public_names() -> list[str]:
    """Return each exported name of the public modules, as it is imported."""
    names = [f"{module}.{name}" for part in PARTS.values() for module in part.modules for name in exported(module)]
    return [name for name in names if name not in _MODULES]


def exported(module: str) -> list[str]:
    """Return the names that a module exports; without importing it, since some need Lucas."""
    for node in _statements(module):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    raise LookupError(f"{module} has no __all__")


def _exported(modules: tuple[str, ...]) -> list[str]:
    return [
        f"{module}.{name}"
        for module in modules
        for name in sorted(exported(module), key=lambda name: not name.endswith("Client"))
        if not name.endswith("Error") and f"{module}.{name}" not in {*_MODULES, _OTHER_PAGE}
    ]


def _settings() -> str:
    ways = {way.name: way for way in (*WAYS, *CLIENT)}
    rows = "".join(f"| `{name}` | `{way.variable}` |\n" for name, way in sorted(ways.items()))
    about = (
        "Values and defaults are told in [Workflows](../workflows.md#settings), those of a server in "
        "[The service](../service.md#options). By name, as arguments and files have them, and by variable:"
    )
    shown = "::: lucas_storage.declared_settings.Settings\n    options:\n      show_attribute_values: false\n"
    return f"# Settings\n\n{about}\n\n| name | variable |\n| --- | --- |\n{rows}\n{shown}"


def _errors() -> list[str]:
    first = [f"actorc.storage.{name}" for name in exported("actorc.storage") if name.endswith("Error")]
    return first + [f"{module}.{node.name}" for module in ERRORS for node in _statements(module) if _is_error(node)]


def _is_error(node: ast.stmt) -> TypeGuard[ast.ClassDef]:
    return isinstance(node, ast.ClassDef) and node.name.endswith("Error")


def _statements(module: str) -> list[ast.stmt]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise LookupError(f"there is no module {module}; correct its name in {__file__}")
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body


def _page(title: str, about: str, names: list[str]) -> str:
    return f"# {title}\n\n{about}\n\n" + "\n".join(_entry(name) for name in names)


def _entry(name: str) -> str:
    text = _HAND_WRITTEN.get(name.rpartition(".")[2])
    return f"::: {name}\n" if text is None else f'<h2 id="{name}"><code>{name}</code></h2>\n\n{text}\n'
