"""The contract of a decorated function: the facts that a worker needs to call it, and the form in which they travel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypedDict

from lucas_storage.values.annotation import Annotation, from_shipped, shipped

if TYPE_CHECKING:
    from lucas_storage.values.annotation import Shipped


class ShippedContract(TypedDict):
    """A contract in pickles: a plain dict of plain data, since classes move."""

    name: str
    qualname: str
    module: str
    doc: str | None
    parameters: tuple[tuple[str, Shipped, bool], ...]
    inject: tuple[str, ...]
    runtime: bool
    keywords: bool
    result: Shipped
    options: dict[str, Any]
    identity: tuple[str, str]
    cache: bool | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter that the engine sees."""

    name: str
    annotation: Annotation
    is_required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The facts that a worker needs to call a function."""

    name: str
    qualname: str
    module: str
    doc: str | None
    parameters: tuple[Parameter, ...]
    inject: tuple[str, ...]
    """Names of the parameters that the engine does not see: they get a `Storage`."""
    takes_runtime: bool
    """Whether the first parameter takes the engine's runtime."""
    takes_keywords: bool
    """Whether there is a ``**`` parameter."""
    result: Annotation
    options: dict[str, Any]
    """Options of the decorator; settings complete them."""
    identity: tuple[str, str]
    """The function and its version."""
    cache: bool | float
    """Whether results are kept: for ever, not at all, or for so many seconds."""

    def shipped(self) -> ShippedContract:
        """Return the contract as plain data; `from_shipped` gives an equal one back."""
        return {
            "name": self.name,
            "qualname": self.qualname,
            "module": self.module,
            "doc": self.doc,
            "parameters": tuple((item.name, shipped(item.annotation), item.is_required) for item in self.parameters),
            "inject": self.inject,
            "runtime": self.takes_runtime,
            "keywords": self.takes_keywords,
            "result": shipped(self.result),
            "options": self.options,
            "identity": self.identity,
            "cache": self.cache,
        }

    @classmethod
    def from_shipped(cls, form: ShippedContract) -> Self:
        """Return the contract that plain data stands for."""
        return cls(
            name=form["name"],
            qualname=form["qualname"],
            module=form["module"],
            doc=form["doc"],
            parameters=tuple(
                Parameter(name=name, annotation=from_shipped(annotation), is_required=required)
                for name, annotation, required in form["parameters"]
            ),
            inject=form["inject"],
            takes_runtime=form["runtime"],
            takes_keywords=form["keywords"],
            result=from_shipped(form["result"]),
            options=form["options"],
            identity=form["identity"],
            cache=form["cache"],
        )
