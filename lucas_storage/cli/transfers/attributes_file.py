"""The file of ``sync --metadata``, which keeps attributes of objects that files do not have.

It has a line of JSON for each object whose content type does not follow from its name, or that has metadata or expires:
``{"name": …, "content_type": …, "metadata": {…}, "expires_at": …}``. Names are relative to what is copied.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from actorc.storage.errors import InvalidParameterError

from .attributes import Attributes

if TYPE_CHECKING:
    from actorc.storage.models import ObjectHead


class AttributesReader:
    """The attributes by name, read from the file as a whole.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
        InvalidParameterError: It is not of this form.
    """

    def __init__(self, path: Path) -> None:
        # Bytes, so that text that is no UTF-8 is an error of its line.
        with path.open("rb") as lines:
            self._by_name = dict(_read(path, number, line) for number, line in enumerate(lines, 1))

    def __iter__(self) -> Iterator[tuple[str, Attributes]]:
        return iter(self._by_name.items())

    def __getitem__(self, name: str) -> Attributes:
        return self._by_name.get(name, _NONE)

    def differ(self, name: str, head: ObjectHead) -> bool:
        """Return whether an object lacks attributes that are written for its name."""
        wanted, present = self._by_name.get(name), Attributes.of(head)
        return wanted is not None and (
            wanted.metadata != present.metadata or wanted.content_type not in {None, present.content_type}
        )


class AttributesWriter:
    """Writes the file anew; it takes the place of the old one when the block ends without an exception.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str]

    def add(self, name: str, attributes: Attributes) -> None:
        """Write a line."""
        expires = attributes.expires_at and attributes.expires_at.isoformat()
        record = {"name": name, "content_type": attributes.content_type, "metadata": attributes.metadata}
        self._file.write(json.dumps({**record, "expires_at": expires}) + "\n")

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.NamedTemporaryFile(  # closed and renamed at the end of the block
            "w", encoding="utf-8", dir=self._path.parent, prefix=_unfinished(self._path), delete=False
        )
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        unfinished = Path(self._file.name)
        try:
            self._file.close()  # writes the rest, for which the disk may be full
            if kind is None:
                unfinished.replace(self._path)
        finally:
            unfinished.unlink(missing_ok=True)


_NONE = Attributes()


def is_attributes_file(path: Path, attributes: Path) -> bool:
    """Return whether a path is the file of attributes, or one that takes its place when it is complete."""
    # By name first: most files are in no need of being looked for. A key may hold NUL, which no file has.
    if (path.name != attributes.name and not path.name.startswith(_unfinished(attributes))) or "\0" in str(path):
        return False
    return path.parent.resolve() == attributes.parent.resolve()


def _unfinished(path: Path) -> str:
    return f".{path.name}-"


def _read(path: Path, number: int, line: bytes) -> tuple[str, Attributes]:
    try:
        return _parsed(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidParameterError(
            f"line {number} of {path} is not one that 'sync --metadata' writes; name its file, or remove that line"
        ) from error


def _parsed(record: dict[str, Any]) -> tuple[str, Attributes]:
    name, content_type, metadata = record["name"], record.get("content_type"), record.get("metadata", {})
    expires = None if record.get("expires_at") is None else datetime.fromisoformat(record["expires_at"])
    # All before anything is copied: a wrong type would be found by a transfer, or stored as some text.
    texts = [name, *([] if content_type is None else [content_type]), *metadata.values()]
    if not all(isinstance(each, str) for each in texts):
        raise TypeError("not text")
    if expires is not None and expires.tzinfo is None:
        raise ValueError("no time zone")
    return name, Attributes(content_type=content_type, metadata=metadata, expires_at=expires)
