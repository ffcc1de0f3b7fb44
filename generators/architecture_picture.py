"""The picture of the architecture, in English and Chinese; run by ``make pictures``.

An SVG without fonts or links of its own, whose colours follow what the reader's browser prefers.

    python generators/architecture_picture.py [FOLDER]

FOLDER is where the pictures are written, ``docs/pictures`` by default.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "pictures"

STYLE: Final = """
  text { font-family: system-ui, "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .quiet { fill: #57606a; font-size: 13px }
  .page { fill: #ffffff }
  .box { fill: #f6f8fa; stroke: #8c959f; stroke-width: 1.2 }
  .ours { fill: #ddf4ff; stroke: #0969da; stroke-width: 1.4 }
  .part { fill: #ffffff; stroke: #0969da; stroke-width: 1 }
  .group { fill: none; stroke: #8c959f; stroke-width: 1.2; stroke-dasharray: 5 4 }
  .line { fill: none; stroke: #57606a; stroke-width: 1.6 }
  .head { fill: #57606a }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .quiet { fill: #9da7b1 }
    .page { fill: #0d1117 }
    .box { fill: #161b22; stroke: #6e7681 }
    .ours { fill: #0c2d6b; stroke: #58a6ff }
    .part { fill: #0d1117; stroke: #58a6ff }
    .group { stroke: #6e7681 }
    .line { stroke: #9da7b1 }
    .head { fill: #9da7b1 }
  }
"""

HEAD: Final = (
    '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path class="head" d="M 0 0 L 10 5 L 0 10 z"/></marker>'
)
"""The head of an arrow."""


class Words(NamedTuple):
    """The texts of the picture that are not code."""

    title: str
    about: str
    lines: Mapping[str, str]


ENGLISH: Final = Words(
    "Architecture of lucas-storage",
    "A workflow hands references to its steps; steps, other Python programs, browsers and clients in other languages "
    "exchange bytes with one server, which keeps them in a directory or in another object store.",
    {
        "workflow": "A workflow",
        "platform": "threads, Knative, ignis",
        "steps": "Its steps",
        "arrives": "values arrive as annotated",
        "references": "references",
        "python": "Any Python program",
        "others": "Browsers, other clients",
        "urls": "presigned URLs, JSON API",
        "bytes": "bytes: gRPC, or a Unix socket on one machine",
        "server": "one process or several",
        "proof": "Keys, signatures, limits",
        "rules": "Rules of object storage",
        "rules-2": "conditions, generations, ranges",
        "engine": "Engine",
        "engine-2": "durable, checksums of every block",
        "directory": "A directory",
        "directory-2": "files, and an index in SQLite",
        "store": "Another store",
        "store-2": "S3, Google Cloud Storage, Azure",
        "or": "or",
        "kept": "Kept there: artifacts under their digests, records of runs, names, cached results",
    },
)

CHINESE: Final = Words(
    "lucas-storage 的架构",
    "工作流把引用交给各个步骤；步骤、其他 Python 程序、浏览器和其他语言的客户端与同一个服务器交换字节，"
    "服务器把它们保存在目录或另一个对象存储中。",
    {
        "workflow": "工作流",
        "platform": "线程、Knative、ignis",
        "steps": "各个步骤",
        "arrives": "值按注解送达",
        "references": "引用",
        "python": "任意 Python 程序",
        "others": "浏览器、其他语言",
        "urls": "预签名 URL、JSON API",
        "bytes": "字节：gRPC，同一机器上为 Unix 套接字",
        "server": "一个或多个进程",
        "proof": "密钥、签名、限制",
        "rules": "对象存储的规则",
        "rules-2": "条件、代、范围",
        "engine": "引擎",
        "engine-2": "持久，每个数据块都有校验和",
        "directory": "目录",
        "directory-2": "文件，以及 SQLite 中的索引",
        "store": "另一个存储",
        "store-2": "S3、Google Cloud Storage、Azure",
        "or": "或",
        "kept": "其中保存：以摘要命名的制品、运行记录、名称、缓存结果",
    },
)


def picture(words: Words) -> str:
    """Return the SVG with these words."""
    parts = "\n".join(f"  {part}" for part in _parts(words.lines))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 520" role="img" aria-labelledby="title about">\n'
        f'  <title id="title">{escape(words.title)}</title>\n  <desc id="about">{escape(words.about)}</desc>\n'
        f"  <style>{STYLE}</style>\n  {HEAD}\n"
        f'  <rect class="page" width="1000" height="520" rx="8"/>\n{parts}\n</svg>\n'
    )


def _parts(words: Mapping[str, str]) -> Iterator[str]:
    yield from _programs(words)
    yield from _server(words)
    yield from _engines(words)


def _programs(words: Mapping[str, str]) -> Iterator[str]:
    yield '<rect class="group" x="16" y="16" width="492" height="132" rx="10"/>'
    yield from _box("box", 32, 34, 172, 96, words["workflow"], "Lucas, run()", words["platform"])
    yield from _box("ours", 294, 34, 198, 96, words["steps"], "@with_storage", words["arrives"])
    yield from _arrow("M 204 82 H 290", words["references"], 248, 72)
    yield from _box("ours", 532, 34, 200, 96, words["python"], "StorageClient, aio", "lucas:// (fsspec)")
    yield from _box("box", 756, 34, 228, 96, words["others"], "HTTP", words["urls"])


def _server(words: Mapping[str, str]) -> Iterator[str]:
    yield '<rect class="ours" x="16" y="216" width="968" height="132" rx="10"/>'
    yield _text("title", 500, 240, "lucas-storage serve")
    yield _text("quiet", 500, 258, words["server"])
    yield from _box("part", 36, 274, 264, 58, words["proof"])
    yield from _box("part", 358, 274, 284, 58, words["rules"], words["rules-2"])
    yield from _box("part", 700, 274, 264, 58, words["engine"], words["engine-2"])
    yield from _arrow("M 300 303 H 354")
    yield from _arrow("M 642 303 H 696")
    yield from _arrow("M 393 134 V 212", both=True)
    yield from _arrow("M 632 134 V 212", both=True)
    yield from _arrow("M 870 134 V 212", both=True)
    yield _text("quiet", 512, 184, words["bytes"], plate=True)


def _engines(words: Mapping[str, str]) -> Iterator[str]:
    yield from _box("box", 220, 404, 260, 62, words["directory"], words["directory-2"])
    yield from _box("box", 540, 404, 260, 62, words["store"], words["store-2"])
    yield from _arrow("M 832 348 V 376 H 350 V 400")
    yield from _arrow("M 670 376 V 400")
    yield _text("quiet", 510, 440, words["or"])
    yield _text("quiet", 500, 498, words["kept"])


def _box(kind: str, x: int, y: int, width: int, height: int, title: str, *lines: str) -> Iterator[str]:
    yield f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>'
    top = y + (height - 20 * len(lines)) // 2 + 5
    yield _text("title", x + width // 2, top, title)
    for number, line in enumerate(lines, 1):
        yield _text("quiet", x + width // 2, top + 20 * number, line)


def _text(kind: str, x: int, y: int, text: str, *, plate: bool = False) -> str:
    """Return a text in the middle of `x`; with a plate behind it where lines pass."""
    behind = f'<rect class="page" x="{x - 160}" y="{y - 15}" width="320" height="22"/>' if plate else ""
    return f'{behind}<text class="{kind}" x="{x}" y="{y}" text-anchor="middle">{escape(text)}</text>'


def _arrow(path: str, label: str = "", x: int = 0, y: int = 0, *, both: bool = False) -> Iterator[str]:
    end = ' marker-start="url(#head)"' if both else ""
    yield f'<path class="line" d="{path}" marker-end="url(#head)"{end}/>'
    if label:
        yield _text("quiet", x, y, label)


def main() -> None:
    """Write the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for name, words in {"architecture": ENGLISH, "architecture-zh": CHINESE}.items():
        folder.joinpath(f"{name}.svg").write_text(picture(words), encoding="utf-8")


if __name__ == "__main__":
    main()
