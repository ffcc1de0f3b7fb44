"""The server's listings as typed calls, page by page. Each page is checked, and that its token leads on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from actorc._generated.ignis.storage.v1 import storage_pb2 as pb
from actorc.storage._rpc import answer_checks
from actorc.storage._rpc.rpc import Rpc
from actorc.storage._wire import messages
from actorc.storage.models import BucketInfo, ListQuery, ObjectInfo, PartInfo, UploadInfo
from actorc.storage.rules import MAX_PAGE

_FIRST: Final = ""
"""The token of the first page, and of the page after the last."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some names of a listing."""

    objects: list[ObjectInfo]
    prefixes: list[str]
    token: str
    """Where the next page begins; empty on the last."""

    def __len__(self) -> int:
        return len(self.objects) + len(self.prefixes)


class RemoteListings:
    """Listings of a storage server, one part of `RemoteStore`."""

    _rpc: Rpc

    def pages(
        self, query: ListQuery, *, most: int | None = None, token: str = _FIRST, timeout: float | None = None
    ) -> Iterator[Page]:
        """Yield the pages of a listing in order, until `most` names came.

        Pages may be shorter than `query.limit` though others follow.

        Args:
            query: What to list.
            most: Names at most; None: all.
            token: Where to begin.
            timeout: Seconds for each page.
        """
        last, seen, left = _FIRST, {token}, most
        while left is None or left > 0:
            part = query if left is None else replace(query, limit=min(left, query.limit))
            page, last = self._page(part, token, last, seen, timeout)
            yield page
            token = page.token
            if not token:
                return
            seen.add(token)
            left = None if left is None else left - len(page)

    def _page(self, query: ListQuery, token: str, last: str, seen: set[str], timeout: float | None) -> tuple[Page, str]:
        def judge(answer: pb.ListObjectsResponse) -> tuple[Page, str]:
            objects = [messages.object_info(message) for message in answer.objects]
            page = Page(objects, list(answer.common_prefixes), answer_checks.of_token(answer.next_page_token, seen))
            return page, answer_checks.of_page(query, page.objects, page.prefixes, last)

        request = pb.ListObjectsRequest(
            bucket=query.bucket,
            prefix=query.prefix,
            delimiter=query.delimiter,
            page_size=query.limit,
            page_token=token,
            without_details=not query.details,
        )
        return self._rpc.ask(request, judge, timeout=timeout)

    def buckets(self, timeout: float | None = None) -> list[BucketInfo]:
        """Return all buckets in order of name; `timeout` is for each page."""
        found: list[BucketInfo] = []
        token, seen = _FIRST, {_FIRST}

        def judge(answer: pb.ListBucketsResponse) -> tuple[list[BucketInfo], str]:
            buckets = [messages.bucket_info(message) for message in answer.buckets]
            page = answer_checks.of_buckets(buckets, found[-1].name if found else "")
            return page, answer_checks.of_token(answer.next_page_token, seen)

        while True:
            request = pb.ListBucketsRequest(page_size=MAX_PAGE, page_token=token)
            page, token = self._rpc.ask(request, judge, timeout=timeout)
            found += page
            if not token:
                return found
            seen.add(token)

    def uploads(
        self, bucket: str, prefix: str, *, most: int, token: str = _FIRST, timeout: float | None = None
    ) -> tuple[list[UploadInfo], str]:
        """Return the first `most` uploads under way from `token` on, and the token of the next one, empty at the end.

        Args:
            bucket: Whose uploads.
            prefix: What their keys begin with.
            most: Uploads at most.
            token: Where to begin.
            timeout: Seconds for each page.
        """
        found: list[UploadInfo] = []
        seen = {token}

        def judge(answer: pb.ListMultipartUploadsResponse) -> tuple[list[UploadInfo], str]:
            uploads = [messages.upload_info(message) for message in answer.uploads]
            page = answer_checks.of_uploads(uploads, bucket, prefix, min(most - len(found), MAX_PAGE))
            return page, answer_checks.of_token(answer.next_page_token, seen)

        while True:
            limit = min(most - len(found), MAX_PAGE)
            request = pb.ListMultipartUploadsRequest(bucket=bucket, prefix=prefix, page_size=limit, page_token=token)
            page, token = self._rpc.ask(request, judge, timeout=timeout)
            found += page
            if not token or len(found) >= most:
                return found, token
            seen.add(token)

    def parts(self, bucket: str, key: str, upload_id: str, timeout: float | None = None) -> list[PartInfo]:
        """Return all parts in order of their numbers; `timeout` is for each page."""
        found: list[PartInfo] = []
        asked = pb.ListPartsRequest(bucket=bucket, key=key, upload_id=upload_id)

        def judge(answer: pb.ListPartsResponse) -> tuple[list[PartInfo], bool]:
            parts = [messages.part_info(message) for message in answer.parts]
            page = answer_checks.of_parts(parts, asked.after_number, is_truncated=answer.is_truncated)
            return page, answer.is_truncated

        while True:
            page, is_truncated = self._rpc.ask(asked, judge, timeout=timeout)
            found += page
            if not is_truncated:
                return found
            asked.after_number = found[-1].number
