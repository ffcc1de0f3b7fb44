"""The base of the three classes of tables: conversion to and from Arrow."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from .labels import Labels


class TableConversion(ABC):
    """One table of one of the three classes, on its way to Arrow."""

    word: ClassVar[str]
    """The word for the class in annotations and labels."""
    package: ClassVar[str]
    name: ClassVar[str]

    def __init__(self, value: Any) -> None:
        self.value = value

    @classmethod
    def is_for(cls, kind: type) -> bool:
        """Return whether it is for tables of exactly this class; a subclass would lose what makes it one."""
        return kind is getattr(sys.modules.get(cls.package), cls.name, None)

    @abstractmethod
    def to_arrow(self) -> Any:
        """Return it as a `pyarrow.Table` with labels."""

    @classmethod
    @abstractmethod
    def from_arrow(cls, table: Any, labels: Labels) -> Any:
        """Return the table as the class has it, from a `pyarrow.Table` whose labels are taken off."""

    @classmethod  # noqa: B027  # most classes need nothing
    def prepare(cls) -> None:
        """Import what must be there before a table of this class is read."""
