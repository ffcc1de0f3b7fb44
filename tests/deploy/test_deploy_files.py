"""What lies in ``examples/deploy`` does what `docs/deploying.md` says, as far as it can be seen without a cluster."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import click
import pytest

from actorc.storage import StorageClient
from lucas_storage.cli.program import program

EXAMPLE = Path(__file__).parents[2] / "examples" / "deploy"
DOCKERFILES = sorted(EXAMPLE.glob("Dockerfile*"))
LOOPBACK = "127.0.0.1:0"
SERVICE = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "spec": {"template": {"spec": {"containers": [{"image": "weather", "env": [{"name": "FUNC_NAME"}]}]}}},
}
"""What `lucas.deploy` writes for a function, as far as it is changed."""


def instructions(file):
    """Return the instructions of a Dockerfile, each with its arguments as one line."""
    text = re.sub(r"^#.*\n", "", file.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def sources(file):
    """Return what the build of an image takes from its context."""
    for name, rest in instructions(file):
        if name == "COPY":
            yield from shlex.split(rest)[:-1]
        yield from re.findall(r"--mount=type=bind,source=([^, ]+)", rest)


def listed(file, name):
    """Return a list of strings in a manifest, which are written as JSON has them."""
    return json.loads(re.search(rf"^ *{name}: (\[[^]]*\])", file.read_text(), re.MULTILINE)[1])


def is_sent(name):
    """Return whether ``.dockerignore`` leaves a file in the context; the last pattern that fits decides."""
    sent = True
    for pattern in (EXAMPLE / ".dockerignore").read_text().splitlines():
        if pattern and not pattern.startswith("#") and fnmatch(name, pattern.removeprefix("!")):
            sent = pattern.startswith("!")
    return sent


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_what_an_image_takes_is_there_or_made_by_a_script_beside_it(file):
    found = {source.strip("/") for source in sources(file)}

    assert "wheels" in found
    assert [source for source in found - {"wheels"} if not (EXAMPLE / source).is_file()] == []
    assert [source for source in found if not is_sent(source)] == []


@pytest.mark.parametrize("name", ["keys.json", "worker.env", "config.json"])
def test_keys_get_into_no_image(name):
    assert not is_sent(name)


def test_keys_and_wheels_are_no_part_of_the_repository():
    ignored = (EXAMPLE.parents[1] / ".gitignore").read_text().split()

    assert {f"examples/deploy/{name}" for name in ("wheels/", "keys.json", "*.env")} <= set(ignored)


def test_every_function_of_the_configuration_is_in_the_file_it_names():
    for function in json.loads((EXAMPLE / "config.json").read_text())["functions"]:
        assert re.search(rf"^def {function['name']}\(", (EXAMPLE / function["path"]).read_text(), re.MULTILINE)


def test_each_service_of_lucas_gets_the_secret_and_the_workflow_one_request_at_a_time(tmp_path):
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("there is no kubectl, which patches what lucas.deploy wrote")
    names = [function["name"] for function in json.loads((EXAMPLE / "config.json").read_text())["functions"]]
    (tmp_path / ".lucas").mkdir()
    services = [json.dumps({**SERVICE, "metadata": {"name": name}}) for name in names]
    (tmp_path / ".lucas" / "weather.yaml").write_text("\n---\n".join(services))
    shutil.copy(EXAMPLE / "kustomization.yaml", tmp_path)
    done = subprocess.run([kubectl, "kustomize", tmp_path], capture_output=True, text=True, timeout=60, check=False)
    patched = done.stdout.split("\n---\n")

    assert done.returncode == 0, done.stderr
    assert [re.search(r"secretRef:\n\s+name: (.*)", each)[1] for each in patched] == ["lucas-storage"] * len(names)
    assert [
        re.search(r"^  name: (.*)", each, re.MULTILINE)[1] for each in patched if "containerConcurrency: 1" in each
    ] == ["report"]


def test_the_command_of_the_server_is_one_that_the_program_takes():
    first, name, *options = [part for key in ("command", "args") for part in listed(EXAMPLE / "server.yaml", key)]
    command = program.get_command(click.Context(program), name)

    assert first == "lucas-storage"
    assert Path(command.make_context(name, options).params["keys"]) == Path("/keys/keys.json")


@pytest.mark.thorough
@pytest.mark.slow
def test_the_server_of_the_cluster_runs_with_the_command_of_its_manifest(platform):
    """Its keys are made as the document says; what may write in a bucket makes it."""
    pytest.importorskip("aiohttp", reason="the probes of the manifest need the extra http")
    command, arguments = (listed(EXAMPLE / "server.yaml", name) for name in ("command", "args"))
    here = {"/data/store": "store", "/keys/keys.json": "keys.json", "0.0.0.0:9000": LOOPBACK, "0.0.0.0:9001": LOOPBACK}
    allowed = ("--allow", "read,list,write,delete:lucas-artifacts")
    printed = platform.lucas_storage("keys", "add", "--keys", "keys.json", *allowed)
    key = dict(line.split("=", 1) for line in printed.split())
    server = platform.start(*(here.get(part, part) for part in (*command, *arguments)))
    server.until("serving")
    address = json.loads((platform.folder / "store" / "endpoint.json").read_text())["endpoint"]
    with StorageClient(address, access_key=key["STORAGE_ACCESS_KEY"], secret_key=key["STORAGE_SECRET_KEY"]) as client:
        client.put_object("lucas-artifacts", "key", b"value")

        assert client.get_object("lucas-artifacts", "key") == b"value"
