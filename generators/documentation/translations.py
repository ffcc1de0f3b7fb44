"""Pages in two languages: which belong together, and what the site needs of one in Chinese.

Files are written for GitHub, too, whose anchors of headings keep Chinese characters; those of the builder lose them.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

_ENDINGS: Final = {"README.zh-CN.md": "README.md"}
_FENCED: Final = re.compile(r"(^ *```.*?^ *```$)", re.DOTALL | re.MULTILINE)
_HEADING: Final = re.compile(r"^(#+ )(.*)$", re.MULTILINE)
_LINK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_WIDE: Final = "\u3001-\u303f\u4e00-\u9fff\uff01-\uff60"
"""Chinese characters and the punctuation between them, as a class of a regular expression."""
_BROKEN_LINE: Final = re.compile(f"(?<=[{_WIDE}])\n *(?=[{_WIDE}])")


def is_chinese(source: str) -> bool:
    """Return whether a file is a page in Chinese, by its name."""
    return ".zh" in PurePosixPath(source).name


def counterpart(source: str) -> str:
    """Return the path at which the same page in the other language would be."""
    path = PurePosixPath(source)
    pairs = {**_ENDINGS, **{english: chinese for chinese, english in _ENDINGS.items()}}
    if path.name in pairs:
        return str(path.with_name(pairs[path.name]))
    if is_chinese(source):
        return str(path.with_name(path.name.replace(".zh.md", ".md")))
    return str(path.with_suffix(".zh.md"))


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives to the text of a heading."""
    text = _LINK.sub(r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def for_site(text: str) -> str:
    """Return a page in Chinese with anchors, and without the spaces that a broken line would make."""

    def with_anchor(found: re.Match[str]) -> str:
        return f"{found[0]} {{ #{anchor(found[2])} }}"

    pieces = _FENCED.split(text)
    return "".join(
        piece if _FENCED.match(piece) else _BROKEN_LINE.sub("", _HEADING.sub(with_anchor, piece)) for piece in pieces
    )
