"""The contract of a decorated function: plain data that is shipped with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    # A worker restores shipped functions with the standard library alone, so the module is not loaded with them.
    from lucas_storage.values.annotations import Plan


class Contract(TypedDict):
    """The facts that a worker needs to call a function; a plain dict of plain data in pickles, since classes move."""

    name: str
    qualname: str
    module: str
    doc: str | None
    parameters: tuple[tuple[str, Plan, bool], ...]
    """Of each parameter that the engine sees: its name, its plan, and whether it is required."""
    inject: tuple[str, ...]
    """Names of the parameters that the engine does not see: they get a `Storage`."""
    runtime: bool
    """Whether the first parameter takes the engine's runtime."""
    keywords: bool
    """Whether there is a ``**`` parameter."""
    result: Plan
    options: dict[str, Any]
    """Options of the decorator; settings complete them."""
    identity: tuple[str, str]
    """The function and its version."""
    cache: bool | float
    """Whether results are kept: for ever, not at all, or for so many seconds."""
