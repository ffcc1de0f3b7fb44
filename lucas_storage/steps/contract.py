"""The contract of a decorated function: the facts that a worker needs to call it, and the form in which they travel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NotRequired, Self, TypedDict

from lucas_storage.class_names import package_of
from lucas_storage.values.annotations.annotation import ANY, Annotation
from lucas_storage.values.annotations.first_version import in_first_version
from lucas_storage.values.annotations.shipped_form import from_shipped, shipped

from .attempt_policy import ONCE, AttemptPolicy

if TYPE_CHECKING:
    from lucas_storage.values.annotations.shipped_form import Shipped

    from .attempt_policy import ShippedPolicy

FIRST_VERSION: Final = 1
"""Version of contracts that every worker reads."""
SECOND_VERSION: Final = 2
"""Version of contracts with annotations, or a kind of function, that workers of the first one would ignore."""
THIRD_VERSION: Final = 3
"""Version of contracts with a policy of attempts, which workers of the second one would ignore."""


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
    more: NotRequired[Shipped]
    result: Shipped
    checked: NotRequired[Shipped]
    """The annotation of the result where it says more than workers of the first version read, which check none."""
    options: dict[str, Any]
    identity: tuple[str, str]
    cache: bool | float
    is_async: NotRequired[bool]
    attempts: NotRequired[ShippedPolicy]


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
    more: Annotation | None = None
    """The annotation of each value of the ``**`` parameter; None if there is no such parameter."""
    result: Annotation
    options: dict[str, Any]
    """Options of the decorator; settings complete them."""
    identity: tuple[str, str]
    """The function and its version, as `lucas_storage.steps.function_version` writes it."""
    cache: bool | float
    """Whether results are kept: for ever, not at all, or for so many seconds."""
    is_async: bool = False
    """Whether it is written with ``async def``."""
    attempts: AttemptPolicy = ONCE

    @property
    def version(self) -> int:
        """The lowest version of workers that can honour the contract."""
        if self.attempts != ONCE:
            return THIRD_VERSION
        annotations = [parameter.annotation for parameter in self.parameters]
        is_first = all(annotation == in_first_version(annotation) for annotation in annotations)
        return FIRST_VERSION if is_first and self.more in (None, ANY) and not self.is_async else SECOND_VERSION

    def shipped(self) -> ShippedContract:
        """Return the contract as plain data; `from_shipped` gives an equal one back."""
        form: ShippedContract = {
            "name": self.name,
            "qualname": self.qualname,
            "module": self.module,
            "doc": self.doc,
            "parameters": tuple((item.name, shipped(item.annotation), item.is_required) for item in self.parameters),
            "inject": self.inject,
            "runtime": self.takes_runtime,
            "keywords": self.more is not None,
            "result": shipped(in_first_version(self.result, of_result=True)),
            "options": self.options,
            "identity": self.identity,
            "cache": self.cache,
        }
        # Only where they say something: the bytes of a contract that needs nothing new are those of the first version.
        if self.more not in (None, ANY):
            form["more"] = shipped(self.more)
        if shipped(self.result) != form["result"]:
            form["checked"] = shipped(self.result)
        if self.is_async:
            form["is_async"] = True
        if self.attempts != ONCE:
            form["attempts"] = self.attempts.shipped()
        return form

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
            more=from_shipped(form.get("more", ANY.name)) if form["keywords"] else None,
            result=from_shipped(form.get("checked", form["result"])),
            options=form["options"],
            identity=form["identity"],
            cache=form["cache"],
            is_async=form.get("is_async", False),
            attempts=AttemptPolicy.from_shipped(form.get("attempts")),
        )


def contract_of_shim(value: object) -> ShippedContract | None:
    """Return the contract of a decorated function, None if `value` is none; by its class, which stands layers above."""
    kind = type(value)
    is_shim = kind.__name__ == "Shim" and package_of(kind) == "lucas_storage"
    contract: ShippedContract | None = getattr(value, "_contract", None) if is_shim else None
    return contract
