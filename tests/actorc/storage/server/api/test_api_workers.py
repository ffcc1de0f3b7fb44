"""Several workers of one server: a token, and a page of a listing, are good at each of them."""

from __future__ import annotations

import json
import re
import signal
import urllib.request

import pytest

from .conftest import ROOT, Key

pytestmark = pytest.mark.slow

SERVE = ("-m", "actorc.storage.server", "--listen", "127.0.0.1:0", "--workers", "2", "--http", "127.0.0.1:0")


def test_a_token_is_good_at_every_worker(run, tmp_path):
    admin = Key(tmp_path / "keys.json", "read,list,write,delete,presign,admin:*")
    process = run(*SERVE, "--data", str(tmp_path / "data"), "--keys", str(tmp_path / "keys.json"))
    endpoint = process.said("serving presigned URLs at ").rpartition(" at ")[2]
    token = admin.token()
    asked = 0
    workers = set()
    # the kernel spreads connections
    while len(workers) < 2 and asked < 200:
        request = urllib.request.Request(f"{endpoint}{ROOT}/caller", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer)["access_key"] == admin.id
        workers.add(re.search(r"\[(\d+)\]", process.said("server.access GET 200"))[1])
        asked += 1
    process.kill(signal.SIGTERM)

    assert len(workers) == 2
    assert process.wait()[0] == 0
