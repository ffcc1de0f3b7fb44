"""Probing which write conditions a store checks, since some stores ignore them and overwrite."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from actorc.storage.errors import UnsupportedError
from actorc.storage.models import Condition

from .errors import Conflict
from .key_layout import KeyLayout
from .object_store import Backend

_WRONG_ETAG: Final = '"00000000000000000000000000000000"'
_WRONG_VERSION: Final = "1"
"""No object has it: generations of Google Cloud Storage are microseconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionSupport:
    """The write conditions that a store checks, and the form in which it compares etags."""

    if_absent: bool
    if_match: bool
    unquoted: bool = False
    """Whether it compares etags without the quotes with which it returns them."""

    def compared_etag(self, etag: str) -> str:
        """Return an etag of the store in the form in which it compares them."""
        strong = etag.removeprefix("W/")
        return strong.strip('"') if self.unquoted else strong

    def check(self, condition: Condition) -> None:
        """Refuse a condition that the store would ignore.

        Raises:
            UnsupportedError: The store would ignore it.
        """
        if condition.if_absent and not self.if_absent:
            raise UnsupportedError("the store ignores if_absent and would overwrite; write without it")
        if condition.if_match is not None and not self.if_match:
            raise UnsupportedError("the store ignores if_match and would overwrite; write without it")


def probe_conditions(backend: Backend, names: KeyLayout) -> ConditionSupport:
    """Return the conditions that the store checks, found out with a probe object, which is removed afterwards.

    Raises:
        StorageError: The store cannot be reached, or refuses to be written to.
    """
    # a random name, since other servers may probe the same store at this moment
    name = names.upload(".probe", secrets.token_hex(24)) + "/probe"
    try:
        backend.put(name, b"1", {})
        if_absent = _refuses(lambda: backend.create(name, b"2", {}))
        for unquoted in (False, True):
            conditions = ConditionSupport(if_absent=if_absent, if_match=True, unquoted=unquoted)
            if _checks_if_match(backend, name, conditions):
                return conditions
        return ConditionSupport(if_absent=if_absent, if_match=False)
    finally:
        backend.delete([name])


def _checks_if_match(backend: Backend, name: str, conditions: ConditionSupport) -> bool:
    found = backend.head(name)
    if found is None or not found.etag:
        return False
    wrong_version = None if found.version is None else _WRONG_VERSION
    if not _refuses(lambda: backend.replace(name, b"3", {}, conditions.compared_etag(_WRONG_ETAG), wrong_version)):
        return False
    etag = conditions.compared_etag(found.etag)
    return not _refuses(lambda: backend.replace(name, b"4", {}, etag, found.version))


def _refuses(write: Callable[[], None]) -> bool:
    try:
        write()
    except Conflict:
        return True
    return False
