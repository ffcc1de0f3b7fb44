"""The rules, the scrape configuration and the dashboard in ``examples/service/watching`` fit a server and its tools."""

from __future__ import annotations

import json
import queue
import re
import shutil
import subprocess
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from pathlib import Path
from urllib.request import urlopen

import pytest

from actorc.storage import StorageClient, StorageError

WATCHING = Path(__file__).parents[2] / "examples" / "service" / "watching"
RULES = (WATCHING / "alerts.yml").read_text()
TESTS = (WATCHING / "alerts.test.yml").read_text()
DASHBOARD = json.loads((WATCHING / "dashboard.json").read_text())
DOCUMENT = (WATCHING.parents[2] / "docs" / "watching.md").read_text()
PATIENCE = 60
NAME = re.compile(r"\b(storage_[a-z_]+|up)\b(?!=)")
ALERTS = re.findall(r"- alert: (\S+)", RULES)


def programs(name):
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name}; 'make test-prometheus' fetches it")
    return found


def expressions():
    """Return every expression of the rules and of the dashboard, with what Grafana puts in."""
    rules = [
        match.replace("\n", " ") for match in re.findall(r"expr: (?:\|\n)?(.*?)\n +(?:for|labels):", RULES, re.DOTALL)
    ]
    shown = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    return rules + [
        each.replace("$__rate_interval", "5m").replace("$instance", ".*").replace("$method", ".*") for each in shown
    ]


@pytest.fixture(scope="module")
def watched(platform):
    """A server of two workers with some traffic behind it: its process, its two addresses."""
    file, http = platform.folder / "watched.json", platform.free_port()
    server = platform.start(
        *("lucas-storage", "serve", "--data", "watched", "--listen", "127.0.0.1:0", "--workers", "2"),
        *("--http", f"127.0.0.1:{http}", "--endpoint-file", file),
    )
    server.until("serving presigned")
    with closing(StorageClient(json.loads(file.read_text())["endpoint"])) as client:
        client.put_object("bucket", "key", b"value")
        client.get_object("bucket", "key")
        with pytest.raises(StorageError):
            client.get_object("bucket", "missing")
    return server, f"127.0.0.1:{http}"


@pytest.mark.slow
def test_every_metric_that_is_named_is_told_by_a_server(watched):
    _, address = watched
    with urlopen(f"http://{address}/metrics") as answer:
        told = set(re.findall(r"^([a-z_]+)", answer.read().decode(), re.MULTILINE))
    named = {name for each in expressions() for name in NAME.findall(each)}

    # with a certificate, which `test_metrics` has
    told.add("storage_certificate_end_timestamp_seconds")
    assert named - told == {"up"}
    assert len(named) > 10
    described = set(re.findall(r"`(storage_[a-z_]+)`", DOCUMENT.partition("## Metrics")[2].partition("## Buckets")[0]))
    own = {re.sub(r"_(bucket|sum|count)$", "", name) for name in told if name.startswith("storage_call_seconds")}
    assert described == own | {name for name in told if name.startswith("storage_") and "_call_seconds" not in name}


def test_every_alert_is_in_the_document():
    assert re.findall(r"^\| `(Lucas\w+)`", DOCUMENT, re.MULTILINE) == ALERTS


def test_every_alert_has_a_test_and_says_what_to_do():
    assert len(ALERTS) == len(set(ALERTS)) == RULES.count("summary: ") == RULES.count("description: ")
    assert [name for name in ALERTS if name not in TESTS] == []


def test_every_alert_and_panel_is_about_the_job_of_the_scrape_configuration():
    assert "job_name: lucas-storage" in (WATCHING / "prometheus.yml").read_text()
    for each in expressions():
        assert len(NAME.findall(each)) == each.count('job="lucas-storage"'), each


def test_no_panel_of_the_dashboard_covers_another():
    panels = DASHBOARD["panels"]
    places = [panel["gridPos"] for panel in panels]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"], (one, other)


def test_promtool_finds_nothing_wrong_with_the_rules_and_they_pass_their_tests():
    promtool = programs("promtool")
    for command in (("check", "config", "prometheus.yml"), ("test", "rules", "alerts.test.yml")):
        done = subprocess.run(
            [promtool, *command], cwd=WATCHING, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_promtool_can_read_every_expression_of_the_dashboard(tmp_path):
    promtool = programs("promtool")
    rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions())]
    # JSON is YAML
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert f"{len(rules)} rules found" in done.stdout


class Receiver(ThreadingHTTPServer):
    """Takes alerts as an Alertmanager does."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Receiving)
        self.alerts = queue.Queue()
        self.seen = set()

    def until(self, name):
        """Wait for an alert of this name; return those that came before it."""
        while name not in self.seen:
            self.seen.add(self.alerts.get(timeout=PATIENCE))
        return self.seen - {name}


class Receiving(BaseHTTPRequestHandler):
    def do_POST(self):
        for alert in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
            self.server.alerts.put(alert["labels"]["alertname"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


SEEN = """
  - name: test
    rules: [{alert: Seen, expr: 'storage_bucket_bytes{job="lucas-storage", bucket="bucket"} == 5'}]
"""


@pytest.mark.slow
def test_a_prometheus_watches_a_server_and_alerts_when_it_is_killed(platform, watched, receiver):
    prometheus = programs("prometheus")
    server, address = watched
    folder = platform.folder / "prometheus"
    folder.mkdir()
    # minutes become seconds
    (folder / "alerts.yml").write_text(re.sub(r"for: (\d+)m", r"for: \1s", RULES) + SEEN)
    config = (WATCHING / "prometheus.yml").read_text().replace("15s", "200ms").replace("localhost:9001", address)
    manager = f"127.0.0.1:{receiver.server_address[1]}"
    config += f"\nalerting: {{alertmanagers: [{{static_configs: [{{targets: ['{manager}']}}]}}]}}\n"
    (folder / "prometheus.yml").write_text(config)
    platform.start(
        *(prometheus, "--config.file", folder / "prometheus.yml", "--storage.tsdb.path", folder / "data"),
        *("--web.listen-address", f"127.0.0.1:{platform.free_port()}"),
    )

    before = receiver.until("Seen")
    server.end()
    after = receiver.until("LucasStorageDown")

    assert before <= {"LucasStorageDiskLow"}
    assert after <= {"Seen", "LucasStorageDiskLow"}
