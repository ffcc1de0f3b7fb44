"""Pages of the repository: those of ``docs/``, and all that they link to.

A Markdown file outside of ``docs/`` becomes a page under ``repository/``, source text a page that shows it, a folder a
page that lists it, and anything else a file to download. Links are written anew to lead there.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from translations import counterpart, for_site, is_chinese

LANGUAGES: Final = {
    ".ipynb": "json",
    ".proto": "protobuf",
    ".py": "python",
    ".service": "ini",
    ".sh": "bash",
    ".toml": "toml",
    ".yaml": "yaml",
    ".csv": "text",
    "": "text",
}
"""Kinds of files whose text is shown, by the ends of their names, and how it is coloured."""

_LINK: Final = re.compile(r"(!?\[[^\]]*\]\()([^)#:\s]+)((?:#[^)]*)?\))")
_FENCED: Final = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_FENCE: Final = "`" * 8


def linked_pages(root: Path) -> dict[str, str | bytes]:
    """Return the content of each page and file of the site, by its path there."""
    waiting = sorted(path.relative_to(root).as_posix() for path in (root / "docs").rglob("*") if path.is_file())
    pages: dict[str, str | bytes] = {}
    seen = set(waiting)
    while waiting:
        source = waiting.pop()
        pages[page_of(root, source)] = _content(root, source)
        fresh = set(_targets(root, source)) - seen
        seen |= fresh
        waiting += sorted(fresh)
    return pages


def page_of(root: Path, source: str) -> str:
    """Return the path in the site of a file or folder of the repository."""
    if source.startswith("docs/"):
        place = source.removeprefix("docs/")
        return f"{place}/README.md" if (root / source).is_dir() else place
    if (root / source).is_dir():
        return f"repository/{source}/index.md"
    name = source.replace("README.md", "readme.md")  # a page of that name would be the page of its folder
    return f"repository/{name}.md" if _is_shown(source) else f"repository/{name}"


def _is_shown(source: str) -> bool:
    return Path(source).suffix in LANGUAGES or Path(source).name.startswith("Dockerfile")


def _content(root: Path, source: str) -> str | bytes:
    path = root / source
    if path.is_dir():
        names = sorted(each.name for each in path.iterdir() if not each.name.startswith((".", "__pycache__")))
        links = [f"* [{each}]({_relative(root, source, f'{source}/{each}')})\n" for each in names]
        return f"# {source}\n\n" + "".join(links)
    if path.suffix == ".md":
        return _page(root, source, path.read_text(encoding="utf-8"))
    if source.startswith("docs/") or not _is_shown(source):
        return path.read_bytes()
    return (
        f"# {source}\n\n{_FENCE}{LANGUAGES.get(path.suffix, 'docker')}\n{path.read_text(encoding='utf-8')}\n{_FENCE}\n"
    )


def _page(root: Path, source: str, text: str) -> str:
    linked = _with_links(root, source, for_site(text) if is_chinese(source) else text)
    other = counterpart(source)
    if not (root / other).exists():
        return linked
    return f"---\ntranslation: {page_of(root, other).removesuffix('.md')}.html\n---\n\n{linked}"


def _targets(root: Path, source: str) -> Iterator[str]:
    path = root / source
    if path.is_dir():
        names = sorted(each.name for each in path.iterdir() if not each.name.startswith((".", "__pycache__")))
        yield from (f"{source}/{name}" for name in names if source != "docs/adr")
    elif path.suffix == ".md":
        for found in _LINK.finditer(_FENCED.sub("", path.read_text(encoding="utf-8"))):
            target = _resolved(source, found[2])
            if (root / target).exists():
                yield target


def _resolved(source: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _with_links(root: Path, source: str, text: str) -> str:
    def rewritten(found: re.Match[str]) -> str:
        target = _resolved(source, found[2])
        return f"{found[1]}{_relative(root, source, target)}{found[3]}" if (root / target).exists() else found[0]

    def outside(piece: str) -> str:
        return _LINK.sub(rewritten, piece)

    blocks = _FENCED.findall(text)
    pieces = _FENCED.split(text)
    return "".join(outside(piece) + block for piece, block in zip(pieces, [*blocks, ""], strict=True))


def _relative(root: Path, source: str, target: str) -> str:
    return posixpath.relpath(page_of(root, target), posixpath.dirname(page_of(root, source)))
