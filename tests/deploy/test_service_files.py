"""What lies in ``examples/service`` starts a server: the options of its image, its unit, its manifest, its archive."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import click
import pytest

from actorc.storage import StorageClient
from actorc.storage.server.option_sources import OPTIONS
from lucas_storage.cli.commands.backup import backup
from lucas_storage.cli.program import program

EXAMPLE = Path(__file__).parents[2] / "examples" / "service"
DOCKERFILE = (EXAMPLE / "Dockerfile").read_text()
UNIT = (EXAMPLE / "lucas-storage.service").read_text()
HEALTHY = EXAMPLE / "healthy.py"


def served(*arguments):
    """Return what the program makes of the command that an image or a unit runs."""
    command, name, *options = arguments
    assert Path(command).name == "lucas-storage"
    found = program.get_command(click.Context(program), name)
    return found.make_context(name, list(options)).params


def server_options():
    return {
        name: value
        for table in tomllib.loads((EXAMPLE / "server.toml").read_text()).values()
        for name, value in table.items()
    }


def test_an_image_serves_with_the_options_beside_it_to_other_machines_and_with_keys():
    entry = json.loads(re.search(r"^ENTRYPOINT (.*)", DOCKERFILE, re.MULTILINE)[1])
    options = server_options()

    assert str(served(*entry)["config"]) == "/etc/lucas-storage/server.toml"
    assert set(options) <= {option.name for option in OPTIONS}
    assert [options[name] for name in ("listen", "http")] == ["0.0.0.0:9000", "0.0.0.0:9001"]
    assert options["keys"] in (EXAMPLE / "compose.yaml").read_text()
    assert options["keys"] in (EXAMPLE / "kubernetes.yaml").read_text()


def test_what_an_image_takes_is_there_and_sent_to_its_build():
    sent = {line[1:] for line in (EXAMPLE / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        name for rest in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for name in rest.split()
    }

    assert {"wheels", *copied} == sent
    assert all((EXAMPLE / name).is_file() for name in copied)


def test_no_server_of_a_container_runs_as_root():
    user = re.search(r"^USER (\d+):\1$", DOCKERFILE, re.MULTILINE)[1]
    manifest = (EXAMPLE / "kubernetes.yaml").read_text()

    assert int(user) > 0
    assert f"runAsUser: {user}\n" in manifest
    assert "runAsNonRoot: true" in manifest
    assert "cap_drop: [ALL]" in (EXAMPLE / "compose.yaml").read_text()


def test_what_stops_a_server_waits_longer_than_its_running_calls_get():
    grace = server_options()["grace"]
    waits = [
        re.search(r"terminationGracePeriodSeconds: (\d+)", (EXAMPLE / "kubernetes.yaml").read_text())[1],
        re.search(r"stop_grace_period: (\d+)s", (EXAMPLE / "compose.yaml").read_text())[1],
        re.search(r"^TimeoutStopSec=(\d+)", UNIT, re.MULTILINE)[1],
    ]

    assert all(int(seconds) > grace for seconds in waits)


def test_the_unit_starts_a_server_on_loopback_in_its_own_directory():
    command = re.search(r"^ExecStart=(.*)", UNIT, re.MULTILINE)[1]
    options = served(*shlex.split(command.replace("$SERVE_OPTIONS", "").replace("%S", "/var/lib")))

    assert options["data"] == Path("/var/lib/lucas-storage/store")
    assert (options["listen"], options["keys"]) == (None, None)
    assert "StateDirectory=lucas-storage" in UNIT


def test_the_units_of_a_backup_read_the_directory_of_the_server_as_its_user():
    unit = (EXAMPLE / "lucas-storage-backup.service").read_text()
    command = re.search(r"^ExecStart=(.*)", unit, re.MULTILINE)[1]
    name, *arguments = shlex.split(command.replace("$BACKUP_OPTIONS", "--keep 3").replace("%S", "/var/lib"))[1:]
    options = backup.make_context(name, arguments).params

    assert name == "backup"
    assert options["directory"] == Path("/var/lib/lucas-storage/store")
    assert options["target"] == Path("/var/lib/lucas-storage-backup")
    assert "StateDirectory=lucas-storage lucas-storage-backup\n" in unit
    assert "User=lucas-storage\n" in unit


def test_scheduled_collections_remove_and_leave_what_is_kept_to_the_policy_of_the_store(tmp_path):
    (tmp_path / "lucas-storage" / "store").mkdir(parents=True)
    unit = (EXAMPLE / "lucas-storage-gc.service").read_text()
    job = (EXAMPLE / "kubernetes-gc.yaml").read_text()
    within = re.search(r"command: \[(.*)\]", job)[1].split(", ")
    command = re.search(r"^ExecStart=(.*)", unit, re.MULTILINE)[1]
    found = [
        served(*shlex.split(command.replace("$GC_OPTIONS", "").replace("%S", str(tmp_path)))),
        served(*within),
    ]

    assert [(each["delete"], each["keep_days"], each["keep_last"], each["ttl"]) for each in found] == [
        (True, None, (), None)
    ] * 2
    assert found[0]["data"] == tmp_path / "lucas-storage" / "store"
    assert "User=lucas-storage\n" in unit
    assert '{name: STORAGE_ENDPOINT, value: "storage:9000"}' in job
    assert "runAsNonRoot: true" in job


@pytest.mark.parametrize(
    "name",
    [
        "lucas-storage.service",
        "lucas-storage-backup.service",
        "lucas-storage-backup.timer",
        "lucas-storage-gc.service",
        "lucas-storage-gc.timer",
    ],
)
def test_systemd_finds_nothing_wrong_with_a_unit(name, tmp_path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze")
    for path in EXAMPLE.glob("lucas-storage*.*"):
        text = path.read_text().replace("/opt/lucas-storage/bin/lucas-storage", sys.executable)
        (tmp_path / path.name).write_text(text)
    done = subprocess.run([analyze, "verify", tmp_path / name], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_server_runs_with_the_options_of_the_image_and_its_health_check_knows(platform, free_port):
    """Its keys are made as the document says; what may write in a bucket makes it."""
    pytest.importorskip("aiohttp", reason="the health check needs the extra http")
    text = (EXAMPLE / "server.toml").read_text()
    for there, here in {
        "/data/store": "store",
        "/etc/lucas-storage/keys.json": "keys.json",
        "0.0.0.0:9000": "127.0.0.1:0",
        "0.0.0.0:9001": f"127.0.0.1:{free_port}",
    }.items():
        text = text.replace(there, here)
    (platform.folder / "server.toml").write_text(text)
    check = [sys.executable, "-c", HEALTHY.read_text().replace("9001", str(free_port))]
    allowed = ("--allow", "read,list,write,delete:lucas-artifacts")
    printed = platform.lucas_storage("keys", "add", "--keys", "keys.json", *allowed)
    key = dict(line.split("=", 1) for line in printed.split())

    before = subprocess.run(check, capture_output=True, text=True, timeout=30, check=False)
    server = platform.start("lucas-storage", "serve", "--config", "server.toml")
    server.until("serving")
    address = json.loads((platform.folder / "store" / "endpoint.json").read_text())["endpoint"]
    with StorageClient(address, access_key=key["STORAGE_ACCESS_KEY"], secret_key=key["STORAGE_SECRET_KEY"]) as client:
        client.put_object("lucas-artifacts", "key", b"value")
        found = client.get_object("lucas-artifacts", "key")
    after = subprocess.run(check, capture_output=True, text=True, timeout=30, check=False)

    assert (before.returncode, before.stderr.partition(":")[0]) == (1, "not ready")
    assert found == b"value"
    assert (after.returncode, after.stderr) == (0, "")


@pytest.mark.thorough
def test_the_archive_installs_a_server_without_an_index(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHONPATH")}
    environment["PYTHON"] = sys.executable

    def run(*command, **more):
        there = {**environment, **more}
        done = subprocess.run(
            command, env=there, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("sh", EXAMPLE / "archive.sh", "lucas-storage.tar.gz")
    with tarfile.open(tmp_path / "lucas-storage.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    said = run("sh", "lucas-storage/install.sh", "installed", PIP_INDEX_URL="http://127.0.0.1:9/simple")

    assert said == "installed/bin/lucas-storage serve starts a server.\n"
    assert "Usage: lucas-storage serve" in run("installed/bin/lucas-storage", "serve", "--help")
    assert "No broken requirements found." in run("installed/bin/python", "-m", "pip", "check")


@pytest.mark.slow
def test_a_later_archive_takes_the_place_of_what_an_earlier_one_installed(tmp_path):
    def install(version):
        archive = tmp_path / version
        (archive / "wheels").mkdir(parents=True)
        installer = shutil.copy(EXAMPLE / "install.sh", archive)
        information = f"lucas_storage-{version}.dist-info"
        extras = "Provides-Extra: http\nProvides-Extra: s3\n"
        with zipfile.ZipFile(archive / "wheels" / f"lucas_storage-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(
                f"{information}/METADATA", f"Metadata-Version: 2.1\nName: lucas-storage\nVersion: {version}\n{extras}"
            )
            wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{information}/RECORD", "")
        environment = {**os.environ, "PYTHON": sys.executable}
        subprocess.run(["sh", installer, "installed"], env=environment, cwd=tmp_path, timeout=120, check=True)

    install("0.1.0")
    install("0.2.0")

    (found,) = tmp_path.glob("installed/lib/python*/site-packages/lucas_storage-*.dist-info")
    assert found.name == "lucas_storage-0.2.0.dist-info"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--help"], 2, "takes one folder"),
        ([""], 2, "takes one folder"),
        (["one", "two"], 2, "takes one folder"),
        (["installed"], 1, "there is no folder"),
    ],
)
def test_an_installation_that_cannot_be_made_leaves_nothing(arguments, code, told, tmp_path):
    copy = shutil.copy(EXAMPLE / "install.sh", tmp_path)

    done = subprocess.run(
        ["sh", copy, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["install.sh"]
