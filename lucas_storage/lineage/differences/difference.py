"""A difference of two contents as data, for notebook, page, JSON and terminal.

Texts in it are a stranger's, and may hold any characters; who shows them escapes them.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final, Literal, TypeAlias

from lucas_storage.preview_data import cut
from lucas_storage.refs import ArtifactRef

Kind: TypeAlias = Literal["array", "bytes", "directory", "image", "json", "other", "pickle", "table", "text"]

CHANGES: Final = 100
"""Changes that are told one by one."""
TEXT: Final = 200
"""Characters of a place or a value."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is another in both, or in one of them only."""

    place: str
    """Such as ``row 3, column price``, ``$.a[2]``, ``sub/file.txt`` or ``schema``."""
    before: str | None
    """None if it is not there."""
    after: str | None

    @classmethod
    def of(cls, place: str, before: object | None, after: object | None) -> Change:
        """Return a change of two values as text, cut to a length."""
        shown = [None if each is None else cut(str(each), TEXT) for each in (before, after)]
        return cls(cut(place, TEXT), *shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentDifference:
    """How two artifacts differ."""

    kind: Kind = "other"
    before: ArtifactRef | None = None
    after: ArtifactRef | None = None
    summary: tuple[str, ...] = ()
    """Sentences about the whole."""
    lines: tuple[str, ...] = ()
    """Of texts, the lines of a unified diff."""
    changes: tuple[Change, ...] = ()
    """The first changes, one by one."""
    complete: bool = True
    """Whether all of both was compared."""
    images: tuple[bytes | None, bytes | None] = (None, None)
    """Of images, and arrays of two dimensions, small PNG files."""
    error: str = ""
    """Why they were not compared, if that is so."""

    def to_json(self) -> dict[str, Any]:
        """Return the difference as JSON data of bounded size; references as URIs, images in Base64."""
        plain: dict[str, Any] = plain_of(self)
        return plain


def plain_of(value: Any) -> Any:
    """Return dataclasses and what is in them as JSON data; references without their signatures."""
    if isinstance(value, ArtifactRef):
        return value.signed(None).uri
    if is_dataclass(value):
        return {each.name: plain_of(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, dict):
        return {name: plain_of(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain_of(each) for each in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def counted(number: int, what: str) -> str:
    """Return a number of things, such as ``1 value`` or ``3 values``."""
    return f"{number} {what}{'' if number == 1 else 's'}"
