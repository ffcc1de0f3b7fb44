"""An artifact as HTML: what it is, and how it begins.

Nothing is unpickled and no class is imported; a bounded number of bytes is read, within a short time, and whatever
fails is told in place of the content: a notebook shows a reference often, and its server may be gone.
"""

from __future__ import annotations

import contextvars
import threading
from queue import Empty, SimpleQueue
from typing import Final, cast

from actorc.storage.errors import StorageError
from actorc.storage.units import shown_size
from lucas_storage.artifacts.store import ArtifactStore
from lucas_storage.display import markup
from lucas_storage.previews import preview_html
from lucas_storage.previews.preview import preview
from lucas_storage.references.handles import handle_for
from lucas_storage.refs import ArtifactRef

_ROWS: Final = 10
"""Rows, lines or values that are shown."""
_SECONDS: Final = 4.0
"""Seconds that a cell of a notebook waits for the content; then it is shown without."""
_THREADS: Final = 4
"""Previews at the same time; of a server that does not answer, each waits on for as long as a call may take."""

# Never waited for: a cell that finds none free is shown without content.
_free = threading.BoundedSemaphore(_THREADS)


def html(ref: ArtifactRef) -> str:
    """Return a box with the facts of a reference and the beginning of its artifact; raises nothing."""
    about = markup.heading("ArtifactRef", f"{ref.format}  {shown_size(ref.size)}")
    return markup.box(about, markup.facts(_facts(ref)), _content(ref))


def _facts(ref: ArtifactRef) -> dict[str, str]:
    place = "" if ref.kind == "inline" else f"{ref.store}/{ref.bucket}"
    digest = ref.digest.removeprefix("sha256:")[:12] + "…" if ref.digest else "not pinned"
    found = {"kind": ref.kind, "sha256": digest, "file": ref.filename, "in": place, "run": ref.run}
    return {name: value for name, value in found.items() if value}


def _content(ref: ArtifactRef) -> str:
    """Return the beginning of an artifact; a line that says why it is not shown where that is so."""
    if not _free.acquire(blocking=False):
        return markup.note("not read: earlier previews still wait for a server that does not answer")
    answers: SimpleQueue[str] = SimpleQueue()
    # The settings of the cell hold on the thread as well. A daemon: a call under way must not keep the process alive.
    context = contextvars.copy_context()
    threading.Thread(target=_answer, args=(context, ref, answers), name="preview", daemon=True).start()
    try:
        return answers.get(timeout=_SECONDS)
    except Empty:
        return markup.note(f"not read: no answer from the store within {_SECONDS:g} s")


def _answer(context: contextvars.Context, ref: ArtifactRef, answers: SimpleQueue[str]) -> None:
    try:
        answers.put(context.run(_read, ref))
    except StorageError as error:
        answers.put(markup.note(f"not read: {error.message}"))
    except Exception as error:  # noqa: BLE001  # whatever a library says of strange bytes: a cell is shown, not broken
        answers.put(markup.note(f"not read: {type(error).__name__}"))
    finally:
        _free.release()


def _read(ref: ArtifactRef) -> str:
    return preview_html.content(preview(cast("ArtifactStore", handle_for(ref.store)), ref, _ROWS))
