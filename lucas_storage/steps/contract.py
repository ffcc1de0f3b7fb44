"""What is known of a decorated function, as it is shipped with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    # a worker restores shipped functions with the standard library alone, so this is not loaded with them
    from lucas_storage.values.annotations import Plan


class Contract(TypedDict):
    """What a worker must know of a function to call it; stands in pickles as a plain dict of plain data."""

    name: str
    qualname: str
    module: str
    doc: str | None
    parameters: tuple[tuple[str, Plan, bool], ...]
    """Of each parameter that the engine sees: its name, how it is wanted, and whether it has to be given."""
    inject: tuple[str, ...]
    """Names of the parameters that the engine does not see: they get a `Storage`."""
    runtime: bool
    """Whether the first parameter takes the engine's runtime."""
    keywords: bool
    """Whether there is a ``**`` parameter."""
    result: Plan
    options: dict[str, Any]
    """What the decorator was told of where results go; settings complete it."""
    identity: tuple[str, str]
    """The function and its version."""
    cache: bool | float
    """Whether results are kept: for ever, not at all, or for so many seconds."""
