"""The documentation site: one command builds it, its links lead somewhere, and it has every public name."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
GENERATORS = ROOT / "generators" / "documentation"
NAMES = "import sys; sys.path.insert(0, sys.argv[1]); import python_pages; print(*python_pages.public_names())"

pytestmark = [
    pytest.mark.ecosystem,
    pytest.mark.skipif(not (find_spec("zensical") and find_spec("mkdocstrings")), reason="needs the extra docs"),
]


class Page(HTMLParser):
    """What a page can be reached by, and what it reaches for."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []
        self.language, self.translations = None, {}
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids.add(attributes.get("id"))
        self.language = attributes.get("lang") if tag == "html" else self.language
        if tag == "a" and "hreflang" in attributes:
            self.translations[attributes["hreflang"]] = attributes["href"].removeprefix("./")
        for target in (attributes.get("href"), attributes.get("src")):
            if target is not None:
                (self.links if tag == "a" else self.loaded).append(target)


def is_elsewhere(target):
    return re.match(r"[a-z]+:|//", target) is not None


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of a site, built as ``make docs`` builds it."""
    folder = tmp_path_factory.mktemp("documentation") / "site"
    built = subprocess.run(
        [sys.executable, GENERATORS / "build.py", folder], capture_output=True, text=True, timeout=240, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


def leads_somewhere(pages, page, link):
    target, _, fragment = link.partition("#")
    path = (page.parent / unquote(target)).resolve() if target else page
    path = path / "index.html" if path.is_dir() else path
    return path.exists() and (not fragment or path not in pages or unquote(fragment) in pages[path].ids)


def test_every_link_of_the_site_leads_somewhere(site, pages):
    broken = {
        (str(path.relative_to(site)), link)
        for path, page in pages.items()
        for link in page.links
        if not is_elsewhere(link) and not leads_somewhere(pages, path, link)
    }

    assert broken == set()


def test_a_page_is_of_one_language_and_leads_to_the_other(site, pages):
    for name in ("workflows", "formats"):
        english, chinese = pages[site / f"{name}.html"], pages[site / f"{name}.zh.html"]

        assert (english.language, english.translations) == ("en", {"zh": f"{name}.zh.html"})
        assert (chinese.language, chinese.translations) == ("zh", {"en": f"{name}.html"})
    assert pages[site / "soak.html"].translations == {"zh": "index.zh.html"}, "it has no page in Chinese of its own"


def test_a_site_on_a_disk_can_be_searched(site, pages):
    assert (site / "search.js").read_text().startswith("var __index")
    assert "assets/javascripts/iframe-worker.js" in {
        target.removeprefix("./") for target in pages[site / "index.html"].loaded
    }


def test_no_page_loads_anything_from_another_place(pages):
    assert {target for page in pages.values() for target in page.loaded if is_elsewhere(target)} == set()


def test_every_public_name_is_in_the_reference(site, pages):
    asked = subprocess.run([sys.executable, "-c", NAMES, GENERATORS], capture_output=True, text=True, check=True)
    names = set(asked.stdout.split())
    reference = {name for path, page in pages.items() if path.parent == site / "reference" for name in page.ids}

    assert "actorc.storage.StorageClient" in names
    assert names - reference == set()


@pytest.mark.parametrize(
    ("page", "owner"),
    [("client", "actorc.storage.StorageClient"), ("async-client", "actorc.storage.AsyncStorageClient")],
)
def test_every_method_of_a_client_is_in_the_reference(site, pages, page, owner):
    methods = {f"{owner}.{name}" for name in dir(pkgutil.resolve_name(owner)) if not name.startswith("_")}

    assert methods - pages[site / "reference" / f"{page}.html"].ids == set()


def test_every_call_and_message_of_the_protocol_is_in_the_reference(site):
    protocol = (ROOT / "protos" / "ignis" / "storage" / "v1" / "storage.proto").read_text()
    declared = re.findall(r"^\s*(rpc|message|enum) (\w+)", protocol, re.MULTILINE)
    told = (site / "reference" / "storage-protocol.html").read_text()

    assert [name for kind, name in declared if f'id="{kind}-{name.lower()}"' not in told] == []


def test_every_document_is_in_the_table_of_contents_or_a_decision():
    documents = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    told = (GENERATORS / "zensical.toml").read_text()

    assert {name for name in documents if f'"{name}"' not in told and not name.startswith("adr/")} == set()


def test_a_folder_that_is_no_earlier_site_is_left_alone(tmp_path):
    file = tmp_path / "folder" / "file"
    file.parent.mkdir()
    file.touch()

    built = subprocess.run(
        [sys.executable, GENERATORS / "build.py", file.parent], capture_output=True, text=True, timeout=240, check=False
    )

    assert built.returncode == 1
    assert "name another folder" in built.stderr
    assert file.exists()
