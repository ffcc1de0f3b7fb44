"""Which conditions of a write the store judges, found out by asking it: some ignore them and overwrite."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from actorc.storage.errors import UnsupportedError
from actorc.storage.models import Condition

from .errors import Conflict
from .key_layout import Names
from .object_store import Backend

_WRONG: Final = '"00000000000000000000000000000000"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What conditions the store judges, and how an etag is put to it."""

    if_absent: bool
    if_match: bool
    unquoted: bool = False
    """Whether it compares etags without the quotes that it tells them with."""

    def form(self, etag: str) -> str:
        """Return an etag of the store as it compares it."""
        strong = etag.removeprefix("W/")
        return strong.strip('"') if self.unquoted else strong

    def check(self, condition: Condition) -> None:
        """Refuse a condition that the store would ignore.

        Raises:
            UnsupportedError: It is one.
        """
        if condition.if_absent and not self.if_absent:
            raise UnsupportedError("the store ignores if_absent and would overwrite; write without it")
        if condition.if_match is not None and not self.if_match:
            raise UnsupportedError("the store ignores if_match and would overwrite; write without it")


def examine(backend: Backend, names: Names) -> Judgement:
    """Find out what the store judges, by means of an object of its own that is removed afterwards.

    Raises:
        StorageError: The store cannot be reached, or refuses to be written to.
    """
    name = names.upload(".probe", secrets.token_hex(24)) + "/probe"
    try:
        backend.put(name, b"1", {})
        if_absent = _refuses(lambda: backend.create(name, b"2", {}))
        for unquoted in (False, True):
            judgement = Judgement(if_absent=if_absent, if_match=True, unquoted=unquoted)
            if _judges(backend, name, judgement):
                return judgement
        return Judgement(if_absent=if_absent, if_match=False)
    finally:
        backend.delete([name])


def _judges(backend: Backend, name: str, judgement: Judgement) -> bool:
    found = backend.head(name)
    if found is None or not found.etag:
        return False
    if not _refuses(lambda: backend.replace(name, b"3", {}, judgement.form(_WRONG))):
        return False
    return not _refuses(lambda: backend.replace(name, b"4", {}, judgement.form(found.etag)))


def _refuses(write: Callable[[], None]) -> bool:
    try:
        write()
    except Conflict:
        return True
    return False
