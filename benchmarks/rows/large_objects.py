"""Objects of 256 MiB: read into memory, as a view, downloaded and uploaded."""

from __future__ import annotations

import inspect
import itertools
import mmap
import os
from pathlib import Path

from benchmarks.baselines import local_files
from benchmarks.cases import Arm, Case, Missing, Speed, Within, file_of, size_text
from benchmarks.peers import s3
from benchmarks.services import TCP, UNIX
from benchmarks.setting import BUCKET

JOINED, BY_HAND, SENT = "bare gRPC stream, joined", "bare gRPC stream, written by hand", "bare gRPC stream, sent"
READ, COPIED, SYNCED = "Path.read_bytes", "cp --reflink=never", "cp and fsync"
KEY = "large"


def cases(setting):
    size, source = setting.scale.large, file_of(setting.folder / "source", setting.scale.large)
    for client in reversed(setting.clients.values()):
        # the first transport last: over the socket an object is one file, which can be mapped
        client.upload_file(BUCKET, KEY, source)
    for store in setting.stores:
        for peer in s3.present(store)[:1]:
            peer.upload(KEY, source)
    for each in (_get, _view, _download, _upload):
        yield each(setting, size, source)


def _case(setting, name, arms, size, **options):
    return Case(
        f"{name}, {size_text(setting.scale.large)}", list(arms), size, rounds=min(4, setting.scale.rounds), **options
    )


def _get(setting, size, source):
    targets = {UNIX: Speed(0.75, (READ,)), TCP: Speed(0.9, (JOINED,))}
    arms = [
        *setting.ours("get_object", lambda client, _: client.get_object(BUCKET, KEY), targets),
        Arm(JOINED, lambda _: setting.bare.joined(size), setting.bare.pids),
        Arm(READ, lambda _: Path(source).read_bytes()),
        *s3.arms(setting.stores, lambda peer, _: peer.get(KEY)),
    ]
    return _case(setting, "get_object", arms, size)


def _view(setting, _, source):
    def first_byte(client, _):
        view = client.get_object(BUCKET, KEY, as_view=True)
        assert view[0] is not None

    def mapped(_):
        with source.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
            assert view[0] is not None

    name = "get_object(as_view=True), first byte"
    ours = setting.ours(name, first_byte, {UNIX: Within(0.002)})
    arms = [arm for arm in ours if arm.transport == UNIX]
    if not _has_views(setting):
        arms = [Missing(arm.name, "not measured: this version has no views", UNIX, arm.target) for arm in arms]
    return Case(
        f"{name}, {size_text(setting.scale.large)}",
        [*arms, Arm("mmap of the file", mapped)],
        rounds=4 * setting.scale.rounds,
    )


def _has_views(setting):
    client = next(iter(setting.clients.values()))
    return "as_view" in inspect.signature(client.get_object).parameters


def _download(setting, size, source):
    target = setting.folder / "target"
    targets = {UNIX: Speed(0.8, (COPIED,)), TCP: Speed(0.9, (BY_HAND,))}
    arms = [
        *setting.ours("download_file", lambda client, _: client.download_file(BUCKET, KEY, target), targets),
        Arm(BY_HAND, lambda _: setting.bare.into_file(size, target), setting.bare.pids),
        Arm(COPIED, lambda _: local_files.copy(source, target)),
        *s3.arms(setting.stores, lambda peer, _: peer.download(KEY, target)),
    ]
    return _case(setting, "download_file", arms, size, before=lambda: _settle(size, target))


def _upload(setting, size, source):
    # as the stores keep what is replaced for a while: memory that was just given back is much cheaper to fill again
    copies = (setting.folder / f"copy-{number}" for number in itertools.count())
    targets = {UNIX: Speed(0.8, (SYNCED,)), TCP: Speed(0.8, (SENT, SYNCED))}
    arms = [
        *setting.ours("upload_file", lambda client, _: client.upload_file(BUCKET, "up", source), targets),
        Arm(SENT, lambda _: setting.bare.send(size), setting.bare.pids),
        Arm(SYNCED, lambda _: local_files.durable_copy(source, next(copies))),
        *s3.arms(setting.stores, lambda peer, _: peer.upload("up", source)),
    ]
    return _case(setting, "upload_file, durable", arms, size, before=lambda: _settle(size))


def _settle(size, *targets):
    """Remove what the arm before has written, and let its blocks reach the disk, so that nobody pays for another.

    A virtual machine may have given its host the memory that nobody uses, and gets it back page by page, which takes
    several times as long as to fill it. So as much as any arm needs is taken and given back before.
    """
    for target in targets:
        target.unlink(missing_ok=True)
    os.sync()
    with mmap.mmap(-1, 4 * size) as taken:
        for page in range(0, len(taken), mmap.PAGESIZE):
            taken[page] = 1
