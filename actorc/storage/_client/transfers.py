"""Uploads and downloads of files and streams."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, ClassVar

from actorc.storage._rpc import result_dicts
from actorc.storage._rpc.retries.deadline import Deadline
from actorc.storage._transfer import download_target, upload_source
from actorc.storage.errors import ObjectNotFoundError
from actorc.storage.models import DownloadResult, ObjectHead, PutResult

from . import arguments
from .session import Session

if TYPE_CHECKING:
    from actorc.storage._rpc.byte_source import ByteSource
    from actorc.storage._rpc.files.object_files import ObjectFiles
    from actorc.storage._rpc.payload import Progress


class TransferMethods(Session):
    """The methods of `StorageClient` about files and streams."""

    default_progress: ClassVar[Callable[[str, str], Progress | None] | None] = None
    """Makes the `progress` of transfers of files and streams that are given none, from bucket and key.

    It is for all clients of the process, and for who shows every transfer, such as a notebook. The threads of an
    asynchronous client call what it returns."""

    def _progress_of(self, given: Progress | None, bucket: str, key: str) -> Progress | None:
        make = type(self).default_progress
        return given if given is not None or make is None else make(bucket, key)

    def upload_file(
        self,
        bucket: str,
        key: str,
        file_path: str | os.PathLike[str],
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        chunk_size: int | None = None,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        ttl: int | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        """Store a local file of any size.

        A file of 64 MiB or more is sent in parts, over more than one connection only if that is faster. After a network
        error or a killed process, the same call goes on where it ended: parts that are stored are not sent again,
        as long as the file did not change. A server on the same machine copies the file itself, if that is on a local
        file system, and stores it as a whole.

        Args:
            bucket: Bucket name.
            key: Object key.
            file_path: The file.
            content_type: MIME type; guessed from the file's name if not given.
            metadata: Names and values kept with the object.
            chunk_size: Bytes of a part; if it is None or 0, a sixteenth of the file, but `DEFAULT_CHUNK_SIZE` at
                least and 32 MiB at most. Parts grow with the file, so that 10000 suffice.
            if_absent: Refuse to replace.
            if_match: Replace only the object with this etag.
            ttl: Seconds after which the object is gone; it stays if not given.
            progress: Called with bytes done and total; the numbers never decrease.
            timeout: Seconds for the whole call; no limit if not given.

        Raises:
            FileNotFoundError: There is no such file.
            InvalidParameterError: It is a directory or no regular file, or an argument breaks a rule.
            IntegrityError: The file was written to meanwhile; nothing was stored.
        """
        path = arguments.file_path(file_path)
        destination = arguments.destination(
            bucket, key, content_type, metadata, if_absent=if_absent, if_match=if_match, ttl=ttl, file_name=path.name
        )
        part_size = arguments.chunk_size(chunk_size, self.DEFAULT_CHUNK_SIZE)
        with upload_source.SteadyFile(path) as source:
            from actorc.storage._transfer import file_upload, part_streams  # noqa: PLC0415  # load the checksum library

            info = file_upload.upload(
                self._remote,
                destination,
                source,
                part_size if chunk_size else part_streams.usual_part_size(source.size, part_size),
                parts_from=self.PARALLEL_FROM,
                progress=self._progress_of(progress, bucket, key),
                timeout=timeout,
            )
            return result_dicts.put_result(info)

    def upload_from_stream(
        self,
        bucket: str,
        key: str,
        stream: ByteSource,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        chunk_size: int | None = None,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        ttl: int | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> PutResult:
        """Store the bytes of a stream, without holding all of them in memory.

        Nothing is stored unless the stream ends without an error; its exceptions are raised here unchanged. A stream
        longer than a part is sent in parts, each from a buffer of its own, so a broken connection costs a part and not
        the stream.

        Args:
            bucket: Bucket name.
            key: Object key.
            stream: An open binary file, which is read from where it stands, an iterable of bytes, or any bytes-like
                object.
            content_type: MIME type; guessed from the key if not given.
            metadata: Names and values kept with the object.
            chunk_size: Bytes of a part, `DEFAULT_CHUNK_SIZE` if it is None or 0; 1 MiB at least and 32 MiB at most.
            if_absent: Refuse to replace.
            if_match: Replace only the object with this etag.
            ttl: Seconds after which the object is gone; it stays if not given.
            progress: Called with bytes done, which never decrease, and the total, None if unknown.
            timeout: Seconds for the whole call; no limit if not given.
        """
        destination = arguments.destination(
            bucket, key, content_type, metadata, if_absent=if_absent, if_match=if_match, ttl=ttl
        )
        progress = self._progress_of(progress, bucket, key)
        return self._put(destination, stream, chunk_size=chunk_size, progress=progress, timeout=timeout)

    def download_file(
        self,
        bucket: str,
        key: str,
        file_path: str | os.PathLike[str],
        overwrite: bool = False,
        *,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> DownloadResult:
        """Write an object to a local file, which appears complete or not at all.

        Missing parent directories are made. An object of 64 MiB or more is fetched into a hidden file beside the
        target, over more than one connection only if that is faster. The file survives network errors and a killed
        process for seven days, and the same call goes on with it. From a server on the same machine the file of the
        object is copied, and the copy verified.

        Args:
            bucket: Bucket name.
            key: Object key.
            file_path: The file.
            overwrite: Whether to replace an existing file.
            progress: Called with bytes done and total; the numbers never decrease.
            timeout: Seconds for the whole call; no limit if not given.

        Raises:
            FileExistsError: The file exists and `overwrite` is false.
            InvalidParameterError: It is a directory or no regular file.
            NotFoundError: The bucket or the object does not exist; no directory was made.
        """
        path = arguments.file_path(file_path)
        arguments.object_name(bucket, key)
        # before the first byte, and again when the file is put into place
        download_target.check_target(path, overwrite)
        deadline, progress = Deadline(timeout), self._progress_of(progress, bucket, key)
        files = self._remote.open_files(bucket, key, timeout=timeout)
        if files is not None:
            with files:
                self._copy_object(files, path, overwrite=overwrite, progress=progress, timeout=deadline.left())
                return result_dicts.download_result(files.info, str(path))
        return self._download_stream(bucket, key, path, overwrite=overwrite, progress=progress, deadline=deadline)

    def download_to_stream(
        self,
        bucket: str,
        key: str,
        stream: IO[bytes],
        *,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> ObjectHead:
        """Write an object to an open binary file, verified piece by piece.

        Args:
            bucket: Bucket name.
            key: Object key.
            stream: The file to write to; it is neither truncated nor closed.
            progress: Called with bytes done and total; the numbers never decrease.
            timeout: Seconds for the whole call; no limit if not given.
        """
        opened = self._stream(*arguments.object_name(bucket, key), timeout=timeout)
        for piece in self._pieces(opened, self._progress_of(progress, bucket, key)):
            stream.write(piece)
        return result_dicts.object_head(opened.info)

    def _download_stream(
        self, bucket: str, key: str, path: Path, *, overwrite: bool, progress: Progress | None, deadline: Deadline
    ) -> DownloadResult:
        from actorc.storage._transfer import (  # noqa: PLC0415  # load the checksum library
            file_download,
            first_stream,
            replaced_objects,
            resumable_part_file,
        )

        if progress is not None:
            progress = replaced_objects.never_less(progress)
        for _ in range(replaced_objects.BEGINNINGS):
            # one that goes on needs few of the bytes: a stream of all would bring its window of them for nothing
            deferred = resumable_part_file.is_begun(path, bucket, key)
            with first_stream.FirstStream(self._remote, bucket, key, deadline.left(), deferred=deferred) as first:
                try:
                    if first.info.size < self.PARALLEL_FROM:
                        _write_file(path, first.pieces(), first.info.size, overwrite=overwrite, progress=progress)
                    else:
                        file_download.download(
                            self._remote, first, path, overwrite=overwrite, progress=progress, timeout=deadline.left()
                        )
                    return result_dicts.download_result(first.info, str(path))
                except ObjectNotFoundError as error:
                    gone = error  # nothing was handed over, so that a later generation will do
        raise replaced_objects.replaced(gone) from gone

    def _copy_object(
        self, files: ObjectFiles, path: Path, *, overwrite: bool, progress: Progress | None, timeout: float | None
    ) -> None:
        from actorc.storage._transfer import local_download  # noqa: PLC0415  # loads the checksum library

        parts_from = self.PARALLEL_FROM
        local_download.download(
            files, path, overwrite=overwrite, parts_from=parts_from, progress=progress, timeout=timeout
        )


def _write_file(
    path: Path, pieces: Iterable[bytes | memoryview], size: int, *, overwrite: bool, progress: Progress | None
) -> None:
    with download_target.whole_target(path, overwrite) as file:
        for piece in pieces:
            file.write(piece)
            if progress is not None:
                progress(file.tell(), size)
