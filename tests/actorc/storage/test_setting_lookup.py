from __future__ import annotations

import copy
import os
import pickle

import pytest

from actorc.storage.errors import InvalidParameterError
from actorc.storage.setting_lookup import Declared, Place, Setting, Variables, Way, environment, read_toml
from actorc.storage.setting_types import file_path, port, ratio, switch, text, user_directory

SECRET = "hunter2-hunter2"
NAME = Way("name", "THE_NAME", text)
OTHER = Way("other", "THE_OTHER", text)
FOLDER = Way("folder", "THE_FOLDER", file_path, is_path=True)


class OwnError(InvalidParameterError, code="Own"):
    """An error of one of those who declare settings."""


def test_the_first_place_that_gives_a_setting_is_its_origin(monkeypatch):
    declared = Declared((NAME,), "default")
    file, argument = Place("/etc/file", {"name": "filed"}), Place("argument", {"name": None})

    found = [declared.find([argument, environment(), file])]
    monkeypatch.setenv("THE_NAME", "told")
    found += [declared.find([argument, environment(), file]), declared.find([])]

    assert [(each.value, each.origin) for each in found] == [
        ("filed", "/etc/file"),
        ("told", "THE_NAME"),
        ("default", "built-in default"),
    ]


def test_in_one_place_the_way_that_is_declared_first_goes_first():
    declared = Declared((NAME, OTHER), lambda: "made")

    assert declared.find([Place("here", {"other": "b", "name": "a"})]).value == "a"
    assert declared.find([Place("here", {"other": "b"}), Place("there", {"name": "a"})]).value == "b"
    assert declared.find([]).value == "made"


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_blank_variable_says_nothing_and_a_blank_value_elsewhere_is_one(monkeypatch, blank):
    monkeypatch.setenv("THE_NAME", blank)

    assert environment().find(NAME) is None
    with pytest.raises(InvalidParameterError):
        Place("file", {"name": blank}).find(NAME)


def test_a_value_that_cannot_be_used_is_told_with_its_origin_and_the_rule_but_not_itself(monkeypatch):
    way = Way("on", "IS_ON", switch, secret=True)
    monkeypatch.setenv("IS_ON", SECRET)

    with pytest.raises(OwnError, match=r"the setting IS_ON cannot be used; it must be 1 or 0$") as by_variable:
        environment(OwnError).find(way)
    with pytest.raises(OwnError, match=r"the setting on of /etc/file cannot be used; it must be 1 or 0$"):
        Place("/etc/file", {"on": SECRET}, OwnError).find(way)
    assert SECRET not in str(by_variable.value)


def test_a_relative_path_means_the_same_wherever_the_process_goes(monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THE_FOLDER", "here")
    file = Place("file", {"folder": "there"}, base=tmp_path / "etc")
    first = environment().find(FOLDER).value
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert [first, environment().find(FOLDER).value] == [tmp_path / "here"] * 2
    assert file.find(FOLDER).value == tmp_path / "etc" / "there"

    monkeypatch.delenv("THE_FOLDER")
    assert environment().find(FOLDER) is None
    monkeypatch.setenv("THE_FOLDER", "here")
    assert environment().find(FOLDER).value == tmp_path / "elsewhere" / "here"


def test_a_secret_is_not_shown_and_no_setting_is_copied_to_another_process():
    setting = Setting(SECRET, "file", secret=True)

    assert repr(setting) == "… (file)"
    assert repr(Setting("plain", "file")) == "'plain' (file)"
    for ship in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="never shipped"):
            ship(setting)


@pytest.mark.parametrize("content", [None, b"[", b"\xff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(OwnError, match=rf"the settings file {path} cannot be read as TOML"):
        read_toml(path, "settings file", OwnError)


@pytest.mark.parametrize(
    ("read", "given", "value"),
    [
        *((switch, each, True) for each in (True, "1", "TRUE", " yes ", "on")),
        *((switch, each, False) for each in (False, "0", "False", "no", "off")),
        *((port, 0, 0), (port, "65535", 65535), (ratio, 1, 1), (ratio, " 12 ", 12), (text, " a b ", "a b")),
    ],
)
def test_a_value_is_taken_as_it_is_or_from_text(read, given, value):
    assert read(given) == value
    assert type(read(given)) is type(value)


@pytest.mark.parametrize(
    ("read", "wrong"),
    [
        *((switch, each) for each in ("2", "", 1, None, "maybe")),
        *((port, each) for each in (-1, "-1", 65536, "65536", True, 1.0, "x", None)),
        *((ratio, each) for each in (0, "0", -1, True, "1.5", None)),
        *((text, each) for each in ("", " ", 1, None)),
        *((file_path, each) for each in ("", 1, None, "a\0b")),
    ],
)
def test_a_value_of_another_type_is_refused(read, wrong):
    with pytest.raises(ValueError, match=r"."):
        read(wrong)


def test_the_directory_of_a_user_is_where_the_variable_says_else_in_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    in_the_home = user_directory("XDG_CACHE_HOME", ".cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))

    assert in_the_home == tmp_path / ".cache" / "lucas-storage"
    assert user_directory("XDG_CACHE_HOME", ".cache") == tmp_path / "caches" / "lucas-storage"


@pytest.mark.parametrize("kept", ["as it is", "a dict"])
def test_variables_are_as_the_environment_has_them_now(monkeypatch, kept):
    if kept == "a dict":
        monkeypatch.setattr(os, "environ", dict(os.environ))
    asked = Variables(["THE_NAME", "THE_OTHER"])
    monkeypatch.setitem(os.environ, "THE_NAME", "ä\udcff")
    found = [asked.now()]
    monkeypatch.delitem(os.environ, "THE_NAME")
    monkeypatch.setitem(os.environ, "THE_OTHER", "")
    found.append(asked.now())

    assert found == [("ä\udcff", None), (None, "")]
