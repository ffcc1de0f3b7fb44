"""The output of a child process: where that of this one goes, also in a notebook or under `redirect_stdout`."""

from __future__ import annotations

import codecs
import contextvars
import io
import os
import threading
from contextlib import suppress
from typing import Any, Final

_PIECE: Final = 64 << 10
_PATIENCE: Final = 2.0
"""Seconds for which output is waited for whose writer has left the group that was killed."""


class Output:
    """The ways from a child process to streams of this one. For one thread."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._theirs: list[int] = []

    def of(self, stream: Any, standard: int) -> int:
        """Return the descriptor that a child process writes to for the output to reach a stream.

        Args:
            stream: ``sys.stdout`` or ``sys.stderr``.
            standard: Its usual descriptor, for a process that has none.
        """
        if stream is None:
            return standard
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError, ValueError):
                stream.flush()  # what was written before comes before
                return stream.fileno()
        # A stream without a file, such as that of a notebook or a test.
        ours, theirs = os.pipe()
        self._theirs.append(theirs)
        context = contextvars.copy_context()
        # A daemon: a process that left the group may keep the pipe open for ever.
        thread = threading.Thread(
            target=context.run, args=(_copy, ours, stream), name="lucas-storage output", daemon=True
        )
        self._threads.append(thread)
        return theirs

    def begin(self) -> None:
        """Begin, once the process has its descriptors, or could not be started."""
        for end in self._theirs:
            os.close(end)
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait for what a process wrote before it ended."""
        for thread in self._threads:
            thread.join(_PATIENCE)


def _copy(source: int, stream: Any) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with open(source, "rb", buffering=0) as pipe:  # a descriptor
        while piece := pipe.read(_PIECE):
            # A stream that was closed meanwhile must not stop the process, which would wait for its reader.
            with suppress(Exception):
                stream.write(decoder.decode(piece))
                stream.flush()
