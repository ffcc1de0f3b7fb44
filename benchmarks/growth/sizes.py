"""Objects of 1 KiB to 4 GiB: read into memory, downloaded, uploaded."""

from __future__ import annotations

import os

from benchmarks.baselines import local_files
from benchmarks.cases import Arm, Case, GiB, KiB, MiB, file_of
from benchmarks.peers import s3
from benchmarks.setting import BUCKET

from .charts import Chart, points_of

ALONG = (KiB, 16 * KiB, 256 * KiB, MiB, 4 * MiB, 16 * MiB, 64 * MiB, 256 * MiB, GiB, 4 * GiB)
SMALL = (KiB, 64 * KiB, 4 * MiB)
IN_MEMORY = GiB
"""A larger object is moved from file to file only; joined from a stream it takes twice its size."""


def _throughput(case, sample):
    return case.size / MiB / sample.seconds


def _chart(name, title):
    return Chart(name, title, "size of the object", "MiB/s", _throughput, in_bytes=True)


GET = _chart("size-get", "get_object into memory")
DOWNLOAD = _chart("size-download", "download_file")
UPLOAD = _chart("size-upload", "upload_file, durable")
CHARTS = (GET, DOWNLOAD, UPLOAD)


def points(setting, along):
    for size in along:
        source, target = file_of(setting.folder / "source", size), setting.folder / "target"
        calls = 20 if size <= MiB else 1
        for client in setting.clients.values():
            client.upload_file(BUCKET, "grown", source)
        for peer in s3.present(setting.go_store)[:1]:
            peer.upload("grown", source)
        few = size >= GiB  # which take seconds, and differ less
        options = {
            "size": size,
            "calls": calls,
            "rounds": min(2 if few else 3, setting.scale.rounds),
            "warm": not few,
            "x": size,
        }
        if size <= IN_MEMORY:
            yield from points_of(Case("get", list(_get(setting, size, source)), **options), GET)
        options["before"] = lambda target=target: _settle(target)
        yield from points_of(Case("download", list(_download(setting, size, source, target)), **options), DOWNLOAD)
        yield from points_of(Case("upload", list(_upload(setting, size, source, target)), **options), UPLOAD)


def _get(setting, size, source):
    yield from setting.ours("ours", lambda client, _: client.get_object(BUCKET, "grown"), {})
    yield Arm("bare gRPC stream, joined", lambda _: setting.bare.joined(size))
    yield Arm("Path.read_bytes", lambda _: source.read_bytes())
    yield from s3.arms([setting.go_store], lambda peer, _: peer.get("grown"), ("obstore",))


def _download(setting, size, source, target):
    yield from setting.ours("ours", lambda client, _: client.download_file(BUCKET, "grown", target, overwrite=True), {})
    yield Arm("bare gRPC stream, written", lambda _: setting.bare.into_file(size, target))
    yield Arm("cp --reflink=never", lambda _: local_files.copy(source, target))
    yield from s3.arms([setting.go_store], lambda peer, _: peer.download("grown", target), ("obstore",))


def _upload(setting, size, source, target):
    yield from setting.ours("ours", lambda client, _: client.upload_file(BUCKET, "up", source), {})
    yield Arm("bare gRPC stream, sent", lambda _: setting.bare.send(size))
    yield Arm("cp and fsync", lambda _: local_files.durable_copy(source, target))
    yield from s3.arms([setting.go_store], lambda peer, _: peer.upload("up", source), ("obstore",))


def _settle(target):
    target.unlink(missing_ok=True)
    os.sync()
