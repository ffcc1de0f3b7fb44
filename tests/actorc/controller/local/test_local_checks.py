"""Whether what a client registers can be called: what it depends on, and how much it asks for."""

from __future__ import annotations

import sys

import pytest

from actorc._generated.ignis.controller.v1 import controller_pb2 as pb
from actorc.controller.local import definition_checks


def refusal(*requirements, path=(), **fields):
    fields = {"language": pb.LANGUAGE_PYTHON, **fields}
    return definition_checks.refusal(pb.AppendPyFunc(name="f", requirements=requirements, **fields), "f", path)


def asked(**amounts):
    return pb.AppendPyFunc(language=pb.LANGUAGE_PYTHON, resources=pb.Resources(**amounts))


@pytest.mark.parametrize(
    "requirement",
    [
        "grpcio",
        "GRPCIO",
        "typing_extensions",
        "typing-extensions >= 1",
        "protobuf[more]>=6,<8",
        "click~=8.0",
        "rich (>=13)",
        "json",
        "lucas-storage",
        "actorc",
        "lucas",
    ],
)
def test_what_is_installed_or_can_be_imported_or_comes_with_workers_is_there(requirement):
    assert refusal(requirement) == ""


@pytest.mark.parametrize(
    "requirement",
    [
        "no-such-thing",
        "no-such-thing==1.0",
        "no_such.thing",
        "no-such-thing[x]>=2",
        "no-such-thing @ https://host/x.whl",
    ],
)
def test_what_is_not_there_is_named_with_where_it_belongs(requirement):
    assert refusal("click", requirement, "no-other") == (
        f"'f' depends on {requirement!r}, 'no-other', which the Python of this controller does not have, and a "
        f"dependency is never installed here; install it for {sys.executable}, or take it out of 'dependency'"
    )


@pytest.mark.parametrize(
    "requirement",
    [
        "tests/actor/interface.py",
        "interface.py",
        "-r requirements.txt",
        "git+https://host/x",
        "./x.whl",
        "x.whl",
        "",
        'no-such-thing; python_version < "3"',
    ],
)
def test_what_is_no_name_alone_is_not_judged(requirement):
    assert refusal(requirement) == ""


def test_modules_and_packages_of_the_users_folder_are_there_and_mere_folders_are_not(tmp_path):
    (tmp_path / "my_module.py").touch()
    (tmp_path / "mere-folder").mkdir()
    (tmp_path / "mere_folder").mkdir()
    (tmp_path / "my_dist-1.0.dist-info").mkdir()
    (tmp_path / "my_dist-1.0.dist-info" / "METADATA").write_text("Name: my-dist\nVersion: 1.0\n")
    path = [str(tmp_path)]

    assert refusal("my-module", "my.dist", path=path) == ""
    assert "'mere-folder', which" in refusal("mere-folder", path=path)


def test_what_was_installed_since_is_there(tmp_path):
    path = [str(tmp_path)]
    before = refusal("late", path=path)
    (tmp_path / "late.py").touch()

    assert before.startswith("'f' depends on 'late'")
    assert refusal("late", path=path) == ""


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"resources": pb.Resources(cpu=-500)}, "-500 thousandths of a core"),
        ({"resources": pb.Resources(memory=-1)}, "-1 bytes of memory"),
        ({"resources": pb.Resources(gpu=-2), "replicas": -1}, "-2 GPUs, -1 replicas"),
    ],
)
def test_less_than_nothing_is_refused(fields, said):
    assert refusal(**fields) == f"'f' asks for {said}, which is less than nothing; give a number from 0 up"


def test_processors_are_counted_in_thousandths_of_a_core(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)

    assert [definition_checks.excess(asked(cpu=cpu), "f") for cpu in (0, 1, 2000)] == ["", "", ""]
    assert definition_checks.excess(asked(cpu=2001), "f") == (
        "'f' asks for 2,001 thousandths of a core and this machine has 2,000; it runs all the same"
    )


def test_calls_of_what_cannot_be_called_say_why_at_once(raw):
    raw.add(lambda x: x, name="f", requirements=["no-such-thing"])
    raw.start("f", x=1)

    assert raw.result().error.startswith("'f' depends on 'no-such-thing', which the Python of this controller")
