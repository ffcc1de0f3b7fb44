"""The contract for engines that are not ours: one that is right passes, and one that is not is caught by name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from actorc.storage.testing.contract import EngineContract
from actorc.storage.testing.contract.subject import FACES
from tests.contract.dict_engine import LACKS, DictEngine

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "engines.md"
BROKEN = """
from dict_engine import LACKS, DictEngine, Held

from actorc.storage.models import ANY
from actorc.storage.testing.contract import EngineContract


class Unconditional(DictEngine):
    def _judge(self, condition, bucket, key):
        super()._judge(ANY, bucket, key)


class Unsorted(DictEngine):
    def list_uploads(self, bucket, **options):
        page = super().list_uploads(bucket, **options)
        return type(page)(uploads=page.uploads[::-1], next_after=page.next_after)


class Greedy(DictEngine):
    def read(self, bucket, key, *, generation=None, **options):
        return Held(*self._find(bucket, key))


class Forgetful(DictEngine):
    def _once(self, call, asked, change):
        return super()._once((*call[:-1], ""), asked, change)


class Boastful(DictEngine):
    capabilities = DictEngine.capabilities | {"ttl"}


class OfDict(EngineContract):
    lacks = LACKS
    faces = ("store",)


class TestUnconditional(OfDict):
    def open_engine(self, directory):
        return Unconditional()


class TestUnsorted(OfDict):
    def open_engine(self, directory):
        return Unsorted()


class TestGreedy(OfDict):
    def open_engine(self, directory):
        return Greedy()


class TestForgetful(OfDict):
    def open_engine(self, directory):
        return Forgetful()


class TestBoastful(OfDict):
    def open_engine(self, directory):
        return Boastful()


class TestNothing(OfDict):
    pass
"""
CAUGHT = {
    ("Unconditional", "test_if_absent_writes_a_free_key_and_spares_a_taken_one"),
    ("Unconditional", "test_of_sixteen_writers_that_race_for_a_free_key_one_wins"),
    ("Unsorted", "test_uploads_are_listed_by_key_then_by_their_beginning"),
    ("Greedy", "test_a_generation_can_be_pinned"),
    ("Forgetful", "test_a_repeated_put_and_write_get_the_first_answer"),
    ("Boastful", "test_the_engine_has_all_capabilities_but_those_it_is_said_to_lack"),
}


@pytest.fixture
def tested(tmp_path):
    """Run cases of test modules in a folder of their own, as their author does; return what pytest said."""

    def run(*cases, **modules):
        (tmp_path / "dict_engine.py").write_bytes((HERE / "dict_engine.py").read_bytes())
        for name, module in modules.items():
            (tmp_path / f"test_{name}.py").write_text(module)
        command = ["-m", "pytest", "-q", "-W", "error", "--strict-markers", "-p", "no:cacheprovider"]
        # unlike -k, this does not make two thousand tests to choose sixty of them
        ran = subprocess.run(
            [sys.executable, *command, "-o", f"python_functions={' '.join(cases)}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        return ran.stdout + ran.stderr

    return run


class TestDict(EngineContract):
    lacks = LACKS
    faces = ("store",)

    def open_engine(self, directory):
        return DictEngine()


@pytest.mark.slow
def test_the_class_of_the_page_passes_and_engines_that_break_a_promise_are_caught_by_the_case_that_names_it(tested):
    (page,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    cases = {case for _, case in CAUGHT}

    said = tested(*cases, mine=BROKEN, page=page)

    failed = re.findall(r"^(?:FAILED|ERROR) test_(\w+)\.py::Test(\w+)::(\w+)", said, re.MULTILINE)
    assert {(cls, case) for _, cls, case in failed if cls != "Nothing"} == CAUGHT, said
    assert {case for _, cls, case in failed if cls == "Nothing"} == cases
    assert {module for module, _, _ in failed} == {"mine"}
    assert int(re.search(r"(\d+) passed", said)[1]) >= len(FACES) * len(cases)
    assert "TestNothing has to say how its engine is opened; define open_engine" in said
    assert "assert [" in said, "assertions of the cases show their values"


def test_a_server_for_tests_needs_no_pytest_and_the_contract_says_what_it_needs():
    script = """
import sys
sys.modules["pytest"] = sys.modules["hypothesis"] = None
import actorc.storage.testing
try:
    import actorc.storage.testing.contract
except ModuleNotFoundError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout == "the contract of an engine needs hypothesis; pip install 'lucas-storage[contract]'\n"
