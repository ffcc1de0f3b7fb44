"""`ui`: what it prints, whom it answers, and how it ends."""

from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request

import pytest

from lucas_storage.cli.commands import ui as ui_command
from lucas_storage.local_service.service import DEFAULT_DATA, LocalService


@pytest.fixture
def shown(lucas_storage):
    """Start the program and return it with its address, once it answers."""

    def start(*arguments, **options):
        process = lucas_storage.start("ui", "--no-browser", "--json", *arguments, **options)
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        return process, json.loads(line)["url"]

    return start


def text_of(address):
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read().decode()


@pytest.mark.slow
def test_pages_are_served_until_ctrl_c_which_ends_them_quietly(lucas_storage, shown):
    with LocalService(lucas_storage.folder / DEFAULT_DATA) as service:
        process, address = shown()
        assert f"{service.endpoint}<" in text_of(address)
        assert "There are no access keys" in text_of(f"{address}access")
        assert 'lang="zh"' not in text_of(address)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.slow
def test_only_the_loopback_interface_and_the_printed_address_lead_there(shown):
    process, address = shown("--endpoint", "127.0.0.1:1", "--lang", "zh")
    host, port = address.split("/")[2].split(":")
    assert host == "127.0.0.1"
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        text_of(f"http://{host}:{port}/")
    refused.value.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", int(port)), timeout=10)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)

    assert process.returncode == 0


@pytest.mark.slow
def test_a_server_that_is_not_there_is_told_by_the_page(shown):
    _, address = shown("--endpoint", "127.0.0.1:1")

    with pytest.raises(urllib.error.HTTPError, match="503") as failed:
        text_of(address)
    page = failed.value.read().decode()
    failed.value.close()

    assert "No answer from 127.0.0.1:1" in page
    assert "data-live" in page


@pytest.mark.slow
def test_a_browser_is_led_there_by_a_file_that_other_users_cannot_read(lucas_storage, shown, tmp_path):
    browser = lucas_storage.script(
        """
        #!/bin/sh
        file=$(printf %s "$1" | sed s,file://,,)
        { stat -c %a "$file" "$(dirname "$file")"; printf '%s\\n' "$1"; cat "$file"; } > told.tmp && mv told.tmp told
        """.strip(),
        name="browser.sh",
    )
    browser.chmod(0o700)
    process = lucas_storage.start("ui", "--json", "--endpoint", "127.0.0.1:1", env={"BROWSER": f"{browser} %s"})
    address = json.loads(process.stdout.readline())["url"]
    told = lucas_storage.folder / "told"
    while not told.exists():
        assert process.poll() is None
    file_mode, folder_mode, argument, page = told.read_text().split("\n", 3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)

    assert (file_mode, folder_mode) == ("600", "700")
    token = address.split("/")[3]
    assert token not in argument
    assert f'content="0; url={address}"' in page


def test_a_port_that_is_taken_is_named(invoke):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = invoke("ui", "--no-browser", "--port", port)

    assert ran.exit_code == 2
    assert f"the pages cannot be served on port {port}" in ran.output
    assert "choose another --port" in ran.output


def test_a_missing_library_is_named_with_the_extra_that_brings_it(invoke, monkeypatch):
    monkeypatch.setattr(ui_command, "_LIBRARIES", ("no_such_library",))
    ran = invoke("ui", "--no-browser")

    assert ran.exit_code == 2
    assert "the pages need no_such_library; pip install 'lucas-storage[ui]'" in " ".join(ran.output.split())
