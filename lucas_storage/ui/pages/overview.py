"""The first page: how the server is, and what ran last."""

from __future__ import annotations

from dataclasses import dataclass

from actorc.storage.models import ServerInfoResult
from actorc.storage.units import shown_size
from lucas_storage.records.past_run import PastRun
from lucas_storage.ui.elements import Html, badge, element, facts, joined, link, note, problem, section

from .page import Page, Reader
from .run_list import run_table
from .shown import when


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Numbers of a server since it started, and between two looks at it."""

    healthy: bool
    damage: int
    """How often verifying what is stored found damage."""
    free: int | None
    """Bytes on the disk of its data directory; None if it has none."""
    calls: int
    failed: int
    bytes_in: int
    bytes_out: int
    objects: int | None = None
    """In all buckets; None if its engine does not count them."""
    stored: int | None = None
    """Bytes of these objects."""
    seconds: float | None = None
    """Between the two looks; None at the first one."""
    calls_since: int = 0
    bytes_in_since: int = 0
    bytes_out_since: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Room on a disk, in bytes."""

    free: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What the first page shows."""

    endpoint: str
    milliseconds: float
    """That the server took to answer."""
    info: ServerInfoResult
    bucket: str
    """Where results of workflows go."""
    traffic: Traffic | None
    """None if the server has no metrics, or gives them to nobody."""
    disk: Disk | None
    """That of the data directory; None if it is on another machine."""
    runs: list[PastRun] | None
    """The last ones; None if this user may not see them."""


def overview_page(found: Overview, reader: Reader) -> Page:
    """Return the first page."""
    words = reader.words
    body = joined(
        _health(found, reader),
        section(words("overview.server"), facts(_server(found, reader))),
        section(
            words("overview.traffic"),
            _disk(found.disk, reader),
            _traffic(found.traffic, reader, has_disk=found.disk is not None),
        ),
        section(
            words("overview.runs"),
            run_table(found.runs, reader) if found.runs else note(_no_runs(found, reader)),
            element("p", link(reader.links.to("runs"), words("overview.all_runs"))),
        ),
    )
    return Page(title=words("overview.title"), body=body, menu="", live=True)


def _no_runs(found: Overview, reader: Reader) -> str:
    return reader.words("failure.rights" if found.runs is None else "runs.none")


def _health(found: Overview, reader: Reader) -> Html:
    words, traffic = reader.words, found.traffic
    if traffic is not None and not traffic.healthy:
        return problem(words("overview.read_only"))
    if traffic is not None and traffic.damage:
        return problem(words("overview.damaged", count=traffic.damage))
    answer = badge(words("overview.answers"), "succeeded")
    return element("p", answer, " ", words("overview.within", milliseconds=f"{found.milliseconds:.1f}"))


def _server(found: Overview, reader: Reader) -> dict[str, str | None]:
    words, info = reader.words, found.info
    bucket = link(reader.links.to("objects", bucket=found.bucket), found.bucket)
    return {
        words("overview.address"): found.endpoint,
        words("overview.version"): info["version"],
        words("overview.engine"): info["engine"],
        words("overview.durable"): words("yes" if info["durable"] else "overview.in_memory"),
        words("overview.way"): words("overview.socket") if info["transport"] == "unix" else "gRPC",
        words("overview.clock"): when(info["time"]),
        words("overview.bucket"): bucket,
    }


def _disk(found: Disk | None, reader: Reader) -> Html | None:
    if found is None:
        return None
    words = reader.words
    used = found.total - found.free
    room = words("overview.room", free=shown_size(found.free), total=shown_size(found.total))
    bar = element(
        "meter", room, value=used, min=0, max=found.total, high=found.total * 9 // 10, aria_label=words("overview.disk")
    )
    return element("p", words("overview.disk"), ": ", room, " ", bar)


def _traffic(found: Traffic | None, reader: Reader, *, has_disk: bool) -> Html:
    words = reader.words
    if found is None:
        return note(words("overview.no_metrics"))
    cards = {
        words("overview.free"): shown_size(found.free) if found.free is not None and not has_disk else None,
        words("overview.damage"): words("overview.no_damage") if not found.damage else str(found.damage),
        words("overview.objects"): f"{found.objects:,}" if found.objects is not None else None,
        words("overview.stored"): shown_size(found.stored) if found.stored is not None else None,
        words("overview.calls"): f"{found.calls:,}",
        words("overview.errors"): f"{found.failed:,}",
        words("overview.in"): shown_size(found.bytes_in),
        words("overview.out"): shown_size(found.bytes_out),
        **_rates(found, reader),
    }
    shown = (element("div", element("dt", name), element("dd", text)) for name, text in cards.items() if text)
    return element("dl", *shown, class_="cards")


def _rates(found: Traffic, reader: Reader) -> dict[str, str]:
    if not found.seconds:
        return {}
    words = reader.words
    moved = (found.bytes_in_since + found.bytes_out_since) / found.seconds
    return {
        words("overview.call_rate"): f"{found.calls_since / found.seconds:.1f}/s",
        words("overview.byte_rate"): f"{shown_size(int(moved))}/s",
    }
