"""The source of shipped functions, which travels behind their pickle, so that tracebacks show it where they run.

A pickle ends at its own last byte, and every reader of pickles ignores what follows. So a reader that knows nothing of
the source opens such a pickle as any other one, and a pickle without source is opened here as ever. Only the lines of
the functions travel, not the rest of their files.

Opening a pickle needs the standard library alone; `function_pickler` writes them.
"""

from __future__ import annotations

import json
import linecache
import os
import threading
from collections.abc import Iterable
from types import CodeType
from typing import Final, TypeAlias

Block: TypeAlias = tuple[str, int, str]
"""Some lines of a file: its name, the number of the first line, and their text."""
Buffer: TypeAlias = bytes | bytearray | memoryview

_MARK: Final = b"\x00lucasrc"
"""The last bytes of a pickle with source; a pickle ends with a dot. Kept for ever."""
_LENGTH: Final = 8
"""Bytes of the number before the mark: the size of the JSON before it."""
_FOOT: Final = _LENGTH + len(_MARK)

_merging = threading.Lock()
"""Guards the read and the write of one entry of `linecache`."""


def blocks_of(codes: Iterable[CodeType]) -> list[Block]:
    """Return the source of code objects, as far as this process has it; of code within other code, the outer one."""
    spans = {(code.co_filename, code.co_firstlineno, _last_line(code)) for code in codes}
    found: list[Block] = []
    covered: tuple[str, int] = ("", 0)
    for name, first, last in sorted(spans, key=lambda span: (span[0], span[1], -span[2])):
        if covered[0] == name and last <= covered[1]:
            continue
        covered = name, last
        text = "".join(_lines(name)[first - 1 : last])
        if text:
            found.append((name, first, text))
    return found


def with_source(pickled: bytes, blocks: list[Block]) -> bytes:
    """Return a pickle with source behind it."""
    if not blocks:
        return pickled
    text = json.dumps(blocks, separators=(",", ":")).encode()
    return b"".join((pickled, text, len(text).to_bytes(_LENGTH, "big"), _MARK))


def show(packed: Buffer) -> None:
    """Let tracebacks show the source behind a pickle, if there is any.

    Where this machine has other lines in a file of that name, those of the functions are shown in their place, since
    they belong to the code that runs. A damaged source is ignored.
    """
    for name, first, text in blocks_behind(packed):
        _merge(name, first, text.splitlines(keepends=True))


def blocks_behind(packed: Buffer) -> list[Block]:
    """Return the source behind a pickle; none if there is none, or it is damaged."""
    if bytes(packed[-len(_MARK) :]) != _MARK:
        return []
    size = int.from_bytes(packed[-_FOOT : -len(_MARK)], "big")
    try:
        return [
            (str(name), int(first), str(text))
            for name, first, text in json.loads(bytes(packed[-_FOOT - size : -_FOOT]))
        ]
    except (ValueError, TypeError):
        return []


def _merge(name: str, first: int, lines: list[str]) -> None:
    begin, end = first - 1, first - 1 + len(lines)
    with _merging:  # functions of one file are unpickled on several threads, and none may lose the lines of another
        present = linecache.getlines(name)
        if present[begin:end] == lines:
            return
        merged = present + ["\n"] * (begin - len(present))
        merged[begin:end] = lines
        # Without a time of modification, an entry is not compared with the file, which need not exist here.
        linecache.cache[name] = sum(map(len, merged)), None, merged, name


def _lines(name: str) -> list[str]:
    # The file may have changed since it was read first, as in a notebook or an editor.
    linecache.checkcache(name)
    return linecache.getlines(name)


def _last_line(code: CodeType) -> int:
    inner = [_last_line(each) for each in code.co_consts if isinstance(each, CodeType)]
    return max([code.co_firstlineno, *inner, *(end or line or 0 for line, end, _, _ in code.co_positions())])


def _after_fork_in_child() -> None:
    # A lock that another thread held at the fork is never released in the child.
    global _merging  # noqa: PLW0603
    _merging = threading.Lock()


os.register_at_fork(after_in_child=_after_fork_in_child)
