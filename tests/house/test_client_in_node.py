"""The client of the documents that is written for Node, from them alone: it runs against a real server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from actorc.storage.server.auth.access import Statement
from actorc.storage.server.auth.key_file import add_key
from actorc.storage.testing import local_server

DOCUMENT = (Path(__file__).parents[2] / "docs" / "foreign-clients.md").read_text()
PROGRAM = re.search(r"```javascript\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)[1]


@pytest.fixture
def node():
    found = shutil.which("node")
    if found is None:
        pytest.skip("needs node")
    return found


def run(node, folder, program, *arguments):
    (folder / "foreign.mjs").write_text(program)
    ran = subprocess.run(
        [node, "foreign.mjs", *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_the_client_in_node_signs_calls_and_makes_urls(node, tmp_path):
    keys = tmp_path / "keys.json"
    key, secret = add_key(keys, [Statement.parse("read,list,write,presign:inbox")])
    with local_server(http=True, keys=keys) as server:
        said = json.loads(run(node, tmp_path, PROGRAM, server.http_endpoint, key.id, secret))

    assert said == {
        "caller": key.id,
        "stored": 201,
        "tooLarge": 413,
        "body": "hello",
        "keys": ["letters/to whom, it's (concerning)*!/größe.txt"],
    }


@pytest.mark.slow
def test_the_signatures_that_are_told_are_those_that_the_client_makes(node, tmp_path):
    functions = PROGRAM.partition("const key = ")[0]
    asked = """
        Date.now = () => 1767225600000;
        globalThis.fetch = async (url, { headers }) => {
          console.log(headers["x-acs-sig"]);
          return new Response("{}");
        };
        await call("/api/v1/caller");
        console.log(presigned("GET", "bucket", "a b/ü", { seconds: 0 }).split("acs-sig=")[1]);
    """
    told = re.findall(r"^[0-9a-f]{64}$", DOCUMENT, re.MULTILINE)

    assert run(node, tmp_path, functions + asked, "http://nowhere", "AKEXAMPLE", "secret").split() == told
