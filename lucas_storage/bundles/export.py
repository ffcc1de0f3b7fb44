"""Writes a run with its records and artifacts into a bundle: all of it, or no file."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final, TypeAlias
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from actorc.storage.errors import IntegrityError, InvalidParameterError
from actorc.storage.rules import MiB
from lucas_storage.artifacts.part_transfer import run_ahead
from lucas_storage.artifacts.store import ArtifactStore, store_for
from lucas_storage.errors import ArtifactNotFoundError, BundleError, DigestMismatchError
from lucas_storage.records import record_text
from lucas_storage.records.past_run import PastRun, PastStep
from lucas_storage.refs import ArtifactRef

from .contents import NAME, TEXT_MAX, Contents
from .reached import Reached, Source, reached
from .run_records import ReadRecord, of_step, records_of

OnProgress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes done so far and the total."""

_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest of a ZIP file, for all entries: the time of an export is no part of the run."""
_MODE: Final = stat.S_IFREG | 0o644
_WHOLE: Final = MiB
"""Bytes of an object that is fetched while others before it are written."""


def export(
    storage: ArtifactStore,
    run: PastRun,
    path: Path,
    *,
    replace: bool = False,
    incomplete: bool = False,
    only: PastStep | None = None,
    progress: OnProgress | None = None,
) -> Contents:
    """Write a run and every artifact that it reaches into one ZIP file, and return what it holds.

    The file appears when it is complete; an error or an interruption leaves none, and an old one as it was. Every
    byte is verified by its digest on the way. Memory is bounded whatever the size.

    Args:
        storage: Its default bucket has the records of the run.
        run: The run.
        path: The file.
        replace: Whether a file of that name is replaced.
        incomplete: Whether artifacts that are gone are left out.
        only: A step of the run; artifacts of the others, and their records, are left out.
        progress: Called as bytes are written.

    Raises:
        FileExistsError: There is such a file, and `replace` is False.
        InvalidParameterError: There is something else under that name, such as a device.
        ArtifactNotFoundError: An artifact is gone, and `incomplete` is False.
        DigestMismatchError: The bytes of one are damaged.
        BundleError: There is too much for one bundle, or an artifact has no digest.
    """
    _check_target(path, replace=replace)
    records = records_of(storage, run.key, only)
    wanted = [record.content for record in records] if only is None else of_step(records, only)
    found = reached(storage, list(record_text.refs_in(wanted)), _labels(run))
    _check_missing(found, incomplete=incomplete)
    every = [ref.digest for ref in record_text.refs_in([record.content for record in records]) if ref.inline is None]
    contents = Contents(
        run=run.key,
        workflow=run.workflow,
        records=tuple(record.entry for record in records),
        objects=found.objects(),
        missing=tuple(sorted({digest for digest in every if digest} - found.sources.keys() | found.missing.keys())),
    )
    with _published(path.resolve()) as file, ZipFile(file, "w", ZIP_STORED) as archive:
        _write(archive, storage, contents, records, found, progress or (lambda _done, _total: None))
    return contents


def _check_target(path: Path, *, replace: bool) -> None:
    if path.exists() and not path.is_file():  # a file in the place of /dev/null would be everybody's loss
        raise InvalidParameterError(f"{path} is no regular file; name another one")
    if path.exists() and not replace:
        raise FileExistsError(
            errno.EEXIST, "exists already; add --force to replace it, or name another file", str(path)
        )


def _labels(run: PastRun) -> dict[str, str]:
    """Return names for artifacts: the function that made one, or is one, or the parameter that took it."""
    labels: dict[str, str] = {}
    for step in run.steps:
        for mention in step.outputs:
            _label(labels, mention.ref, step.function)
        _label(labels, step.source, f"{step.function}.source")
        _label(labels, step.shipped, f"{step.function}.function")
    for inputs in (run.inputs, *(step.inputs for step in run.steps)):
        for name, mentions in inputs.items():
            for mention in mentions:
                _label(labels, mention.ref, name)
    return labels


def _label(labels: dict[str, str], ref: ArtifactRef | None, name: str) -> None:
    if ref is not None and ref.digest is not None:
        labels.setdefault(ref.digest, name)


def _check_missing(found: Reached, *, incomplete: bool) -> None:
    if found.missing and not incomplete:
        ref = next(iter(found.missing.values()))
        raise ArtifactNotFoundError(
            f"{len(found.missing)} artifacts of the run are gone, {ref!r} among them; run it again, or leave them out "
            "with --incomplete",
            ref=ref,
        )


@contextlib.contextmanager
def _published(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that takes its name when the body has ended without an error."""
    # In the same directory, so that the name can be given in one step; under a hidden name, so that no pattern of
    # the user matches a half one.
    draft = path.with_name(f".{path.name[:60]}.{secrets.token_hex(8)}")
    try:
        with draft.open("x+b") as file:
            yield file
            file.flush()
            # Before the name: it could outlive a power cut, and the content not.
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _write(
    archive: ZipFile,
    storage: ArtifactStore,
    contents: Contents,
    records: list[ReadRecord],
    found: Reached,
    progress: OnProgress,
) -> None:
    text = contents.encode()
    if len(text) > TEXT_MAX:
        raise BundleError(f"the run has {len(contents.objects)} objects, more than a bundle can list")
    archive.writestr(_info(NAME, len(text)), text)
    for record in records:
        archive.writestr(_info(record.entry.name, record.entry.size), record.text)
    done = sum(record.entry.size for record in records)
    progress(done, contents.size)
    fetched = run_ahead(_fetch(storage, found.sources[entry.digest]) for entry in contents.objects)
    for entry, pieces in zip(contents.objects, fetched, strict=True):
        with archive.open(_info(entry.name, entry.size), "w") as file:
            for piece in _checked(found.sources[entry.digest], pieces):
                file.write(piece)
                done += len(piece)
                progress(done, contents.size)


def _fetch(storage: ArtifactStore, source: Source) -> Callable[[], Iterator[bytes]]:
    """Return a function that fetches a small object whole, and of a large one returns the pieces."""
    place, size = source.place, source.entry.size
    holder = storage if place.store == storage.store_name else store_for(place.store)
    if size > _WHOLE:
        return lambda: holder.stream_object(place.bucket, place.key)
    return lambda: iter([holder.get_object(place.bucket, place.key, length=size + 1)])


def _checked(source: Source, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the bytes of an object, and raise if they are not those of its digest."""
    running, received = hashlib.sha256(), 0
    try:
        for piece in pieces:
            received += len(piece)
            if received > source.entry.size:  # at once: an endless object would otherwise fill the disk first
                break
            running.update(piece)
            yield piece
    except IntegrityError as error:
        raise _damaged(source) from error
    if received != source.entry.size or f"sha256:{running.hexdigest()}" != source.entry.digest:
        raise _damaged(source)


def _damaged(source: Source) -> DigestMismatchError:
    return DigestMismatchError(
        "the stored bytes do not match their digest, and no bundle was written; store the value again", ref=source.ref
    )


def _info(name: str, size: int) -> ZipInfo:
    info = ZipInfo(name, _TIME)
    info.create_system = 3  # Unix, wherever it is written, so that equal runs have equal bundles
    info.external_attr = _MODE << 16
    info.file_size = size  # by which a large entry gets the form for more than 4 GiB
    return info
