"""Every example runs in a copy of its folder, as the README says to run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from actorc.storage.testing import local_server

EXAMPLES = Path(__file__).parents[2] / "examples"
SAYS = {
    "actor_pipeline.py": ["success, in another process: True", "48 months"],
    "actor_replicas.py": ["a wet day brings 6.", "4 processes"],
    "checkpoints.py": ["power cut in epoch 25", "training starts at epoch 25", "40 epochs, accuracy 0.890"],
    "contact_sheet.py": ["24 pictures became contact-sheet.png, (320, 480) pixels"],
    "directory_artifact.py": [" words of ", "'generator' is in"],
    "embedding_cache.py": ["8 vectors, 8 of them computed", "8 vectors, 1 of them computed", "'rain in Seattle falls"],
    "etl.py": ["47838 bytes of CSV are ", "2015: 365 days, mean high 17.43 °C"],
    "larger_than_memory.py": ["errors by service {'service-1': ", "512 MiB of log took less than half of that"],
    "publish_and_consume.py": ["published with 0 waves, score 0.0", "'2025-07-15': 25.9"],
    "resume.py": ["first attempt: killed by signal 9", "between the seasons: 19.0 °C"],
    "big_files.py": ["stream and file are the same: True", "16 bytes from the middle: "],
    "calling_conventions.py": ["one workflow: [100000.0, 100000.0, 100000.0]", "dict:     100000.0"],
    "fan_out.py": ["(800, 800) points, area 1.522"],
    "put_and_get.py": ["the copy is the same: True", "still there: False", "NotFound: "],
    "traced.py": ["my program ", "    step noise succeeded ", "      PutObject a/sha256/"],
    "weather.py": ["December", "chart   ArtifactRef(bytes@1 ", "The chart is "],
}
NOTES = {"resume.py": "lucas-storage: 3 of 5 steps reused (highs, smooth), 2 executed\n"}
"""What is said on standard error."""
WITHOUT_LUCAS = ["big_files.py", "put_and_get.py"]


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("output")))


def run(folder, *command, **environment):
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder.parent,
        env={**os.environ, "XDG_CACHE_HOME": str(folder.parent / "cache"), **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_every_example_is_known_here():
    assert {path.name for path in EXAMPLES.glob("*.py")} == SAYS.keys()


@pytest.mark.ecosystem
@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs_on_a_machine_with_nothing_on_it(folder, name):
    ran = run(folder, "-m", "lucas_storage.cli", "run", f"examples/{name}")

    assert (ran.returncode, ran.stderr) == (0, NOTES.get(name, ""))
    assert [text for text in SAYS[name] if text not in ran.stdout] == []


@pytest.mark.ecosystem
@pytest.mark.parametrize("name", WITHOUT_LUCAS)
def test_an_example_runs_as_plain_python_where_there_is_a_server(folder, name):
    with local_server(auto_create_buckets=False) as server:
        ran = run(folder, f"examples/{name}", STORAGE_ENDPOINT=server.endpoint)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert [text for text in SAYS[name] if text not in ran.stdout] == []


@pytest.mark.ecosystem
def test_the_chart_of_the_weather_is_a_picture_where_it_says(folder):
    ran = run(folder, "-m", "lucas_storage.cli", "run", "examples/weather.py", "charts/seattle.png")
    chart = folder.parent / "charts" / "seattle.png"

    assert ran.stdout.splitlines()[-1] == "The chart is charts/seattle.png", ran.stderr
    assert chart.read_bytes().startswith(b"\x89PNG\r\n")
    assert chart.stat().st_size > 50_000


@pytest.mark.ecosystem
def test_the_weather_is_the_same_the_second_time(folder):
    first = run(folder, "-m", "lucas_storage.cli", "run", "examples/weather.py")
    second = run(folder, "-m", "lucas_storage.cli", "run", "examples/weather.py")

    assert first.stdout == second.stdout
