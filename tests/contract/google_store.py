"""A double of Google Cloud Storage: its XML interface as far as obstore speaks it, in memory, on a port of loopback.

Its headers are those of https://cloud.google.com/storage/docs/xml-api/reference-headers. It shows how the engine and
obstore's client for Google go together; what Google itself does it cannot show.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

PAGE = 1000


@dataclass
class Blob:
    data: bytes
    headers: dict[str, str]
    generation: int
    written: float = field(default_factory=time.time)

    def described(self):
        etag = hashlib.md5(self.data, usedforsecurity=False).hexdigest()
        return {
            **self.headers,
            "ETag": f'"{etag}"',
            "x-goog-generation": str(self.generation),
            "Last-Modified": formatdate(self.written, usegmt=True),
        }


class Store:
    """The objects of one bucket by name, and the uploads in parts."""

    def __init__(self):
        self.blobs: dict[str, Blob] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.generations = itertools.count(1_700_000_000_000_000)
        self.turn = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def store(self):
        return self.server.store

    def log_message(self, *_):
        """Keep quiet."""

    def parse_request(self):
        if not super().parse_request():
            return False
        url = urlsplit(self.path)
        _, self.bucket, *rest = url.path.split("/", 2)
        self.name = unquote(rest[0]) if rest else ""
        self.query = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        self.body = self._read()
        return True

    def _read(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status, body=b"", headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            # a client that has what it wants closes its connection
            with suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)

    def _error(self, status, code):
        self._answer(status, f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode())

    def _kept(self):
        names = (name for name in self.headers if name.lower().startswith("x-goog-meta-"))
        kept = {name.lower(): self.headers[name] for name in names}
        return kept | {"Content-Type": self.headers.get("Content-Type", "application/octet-stream")}

    def do_PUT(self):
        if "uploadId" in self.query:
            self.store.uploads[self.query["uploadId"]][int(self.query["partNumber"])] = self.body
            self._answer(200, headers={"ETag": f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'})
            return
        wanted = self.headers.get("x-goog-if-generation-match")
        with self.store.turn:
            there = self.store.blobs.get(self.name)
            if wanted is not None and int(wanted) != (there.generation if there else 0):
                self._error(412, "PreconditionFailed")
                return
            blob = self.store.blobs[self.name] = Blob(self.body, self._kept(), next(self.store.generations))
        self._answer(200, headers=blob.described())

    def do_POST(self):
        if "uploads" in self.query:
            upload = f"upload-{next(self.store.generations)}"
            self.store.uploads[upload], self.store.headers[upload] = {}, self._kept()
            tag = "InitiateMultipartUploadResult"
            self._answer(200, f"<{tag}><UploadId>{upload}</UploadId></{tag}>".encode())
            return
        upload = self.query["uploadId"]
        parts = self.store.uploads.pop(upload)
        numbers = [int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", self.body)]
        data = b"".join(parts[number] for number in numbers)
        with self.store.turn:
            blob = self.store.blobs[self.name] = Blob(
                data, self.store.headers.pop(upload), next(self.store.generations)
            )
        tag, described = "CompleteMultipartUploadResult", blob.described()
        body = f"<{tag}><ETag>{escape(described['ETag'])}</ETag></{tag}>".encode()
        self._answer(200, body, {"x-goog-generation": described["x-goog-generation"]})

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        if not self.name:
            self._list()
            return
        blob = self.store.blobs.get(self.name)
        if blob is None:
            self._error(404, "NoSuchKey")
            return
        headers = blob.described()
        if self.headers.get("If-Match", headers["ETag"]).strip('"') != headers["ETag"].strip('"'):
            self._error(412, "PreconditionFailed")
            return
        data, status = blob.data, 200
        if found := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first = int(found[1])
            if first >= len(data):
                self._error(416, "InvalidRange")
                return
            last = min(int(found[2] or len(data) - 1), len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data, status = data[first : last + 1], 206
        self._answer(status, data, headers | {"Content-Length": str(len(data))})

    def _list(self):
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter", "")
        after = max(self.query.get("start-after", ""), self.query.get("continuation-token", ""), key=str.encode)
        names = sorted((name for name in list(self.store.blobs) if name.startswith(prefix)), key=str.encode)
        entries, rolled, last = [], [], ""
        more = False
        for name in names:
            if name.encode() <= after.encode():
                continue
            if len(entries) + len(rolled) == PAGE:
                more = True
                break
            last = name
            at = name.find(delimiter, len(prefix)) if delimiter else -1
            if at >= 0:
                if (folder := name[: at + len(delimiter)]) not in rolled:
                    rolled.append(folder)
                continue
            entries.append(self._entry(name))
        folders = "".join(f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in rolled)
        token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if more else ""
        content = "".join(entries) + folders + token
        self._answer(200, f"<ListBucketResult>{content}</ListBucketResult>".encode())

    def _entry(self, name):
        blob = self.store.blobs[name]
        written = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(blob.written))
        return (
            f"<Contents><Key>{escape(name)}</Key><LastModified>{written}</LastModified>"
            f"<ETag>{escape(blob.described()['ETag'])}</ETag><Size>{len(blob.data)}</Size></Contents>"
        )

    def do_DELETE(self):
        if "uploadId" in self.query:
            self.store.uploads.pop(self.query["uploadId"], None)
            self._answer(204)
        elif self.store.blobs.pop(self.name, None) is None:
            self._error(404, "NoSuchKey")
        else:
            self._answer(204)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.store = Store()


@contextmanager
def google_store():
    """Yield the address of an empty store, which ends with the block."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
