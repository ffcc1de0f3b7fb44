"""The reference of the protocols: methods and messages of the .proto files, with the comments that stand above them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FILES: Final = {
    "storage-protocol": ("Storage protocol", "ignis/storage/v1/storage.proto"),
    "controller-protocol": ("Controller protocol", "ignis/controller/v1/controller.proto"),
}
"""Titles and files by the name of the page."""

_DECLARED: Final = re.compile(r"(service|message|enum|rpc) (\w+)")


def pages(protos: Path) -> dict[str, str]:
    """Return the text of each page by its name."""
    return {name: _page(title, protos / file) for name, (title, file) in FILES.items()}


def _page(title: str, file: Path) -> str:
    lines = file.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("syntax"))
    head, body = lines[:start], lines[start:]
    return "\n".join([f"# {title}", "", *_comment(head), "", *_declarations(body), ""])


def _declarations(lines: list[str]) -> Iterator[str]:
    comment: list[str] = []
    numbers = iter(range(len(lines)))
    for number in numbers:
        line = lines[number].strip()
        if line.startswith("//"):
            comment.append(line)
            continue
        declared = _DECLARED.match(line)
        if declared is None:
            comment = []
            continue
        kind, name = declared.groups()
        size = 1 if kind in {"rpc", "service"} else _size(lines[number:])
        yield from _entry(kind, name, comment, lines[number : number + size])
        comment = []
        for _ in range(size - 1):
            next(numbers)


def _size(lines: list[str]) -> int:
    """Return how many lines a declaration takes that begins with the first one."""
    depth = 0
    for number, line in enumerate(lines, 1):
        code = line.partition("//")[0]
        depth += code.count("{") - code.count("}")
        if depth == 0:
            return number
    return len(lines)


def _entry(kind: str, name: str, comment: list[str], code: list[str]) -> Iterator[str]:
    level = "###" if kind == "rpc" else "##"
    yield from (f"{level} {kind} {name}", "", *_comment(comment), "")
    if kind != "service":
        indent = len(code[0]) - len(code[0].lstrip())
        yield from ("```protobuf", *(line[indent:] for line in code), "```", "")


def _comment(lines: list[str]) -> Iterator[str]:
    """Yield the text of a comment; what it indents is a block of text."""
    for line in lines:
        text = line.strip().removeprefix("//").removeprefix(" ")
        yield f"    {text.strip()}" if text.startswith("  ") else text.replace("<", "&lt;")
