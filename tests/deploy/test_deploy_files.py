"""What lies in ``examples/deploy`` does what `docs/deploying.md` says, as far as it can be seen without a cluster."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "deploy"
DOCKERFILES = sorted(EXAMPLE.glob("Dockerfile*"))
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
