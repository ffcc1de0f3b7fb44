"""`rt.storage` on one machine."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

from lucas_storage.embedded.runtime.local_storage import LocalStorage


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """Return an empty storage."""
    return LocalStorage(str(tmp_path / "values"))


@pytest.mark.parametrize("value", [None, b"bytes", "text", {"x": [1, 2]}, 0])
def test_any_value_comes_back(storage: LocalStorage, value: Any) -> None:
    storage.put("a/b.c", value)

    assert storage.get("a/b.c") == value


def test_names_are_listed_as_they_were_put(storage: LocalStorage) -> None:
    assert storage.list() == []
    for name in ("b", "d/e", "a"):
        storage.put(name, name)

    assert storage.list() == ["a", "b", "d/e"]
    assert [storage.get(name) for name in storage.list()] == ["a", "b", "d/e"]


def test_a_storage_that_is_only_read_leaves_nothing(storage: LocalStorage) -> None:
    assert (storage.list(), storage.exists("a"), storage.get("a", timeout=0)) == ([], False, None)
    storage.delete("a")

    assert not Path(storage.storage_path).exists()


def test_a_deleted_value_is_gone(storage: LocalStorage) -> None:
    storage.put("a", 1)
    assert storage.exists("a")
    storage.delete("a")

    assert not storage.exists("a")
    assert storage.get("a", timeout=1) is None


def test_get_waits_for_the_value(storage: LocalStorage) -> None:
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(storage.get("late", timeout=30_000)))
    waiting.start()
    storage.put("late", "value")
    waiting.join(30)

    assert got == ["value"]


def test_the_last_put_wins(storage: LocalStorage) -> None:
    storage.put("a", 1)
    storage.put("a", 2)

    assert storage.get("a") == 2


def test_a_put_that_fails_leaves_the_old_value_and_no_litter(storage: LocalStorage) -> None:
    storage.put("a", 1)
    Path(storage.storage_path, "folder", "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        storage.put("folder", 2)
    # the latter from Python 3.14 on
    with pytest.raises((AttributeError, pickle.PicklingError)):
        storage.put("a", lambda: 1)

    assert storage.get("a") == 1
    assert list(Path(storage.storage_path, ".tmp").iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "../outside", "a/../../outside", "/etc/hostname", "..", ".tmp/x"])
def test_no_name_leads_outside(storage: LocalStorage, name: str) -> None:
    for use in (lambda: storage.put(name, 1), lambda: storage.get(name, timeout=0), lambda: storage.delete(name)):
        with pytest.raises(ValueError, match="cannot name a value"):
            use()


def test_no_link_leads_outside(storage: LocalStorage, tmp_path: Path) -> None:
    storage.put("a", 1)
    Path(storage.storage_path, "link").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="leads out of"):
        storage.put("link/outside", 1)


def test_a_file_put_there_by_hand_is_text(storage: LocalStorage) -> None:
    storage.put("a", 1)
    Path(storage.storage_path, "note.txt").write_text("grüezi", encoding="utf-8")

    assert storage.get("note.txt") == "grüezi"


def test_a_value_that_cannot_be_loaded_is_no_text(storage: LocalStorage) -> None:
    storage.put("a", 1)
    Path(storage.storage_path, "broken").write_bytes(b"\x80\x05")
    with pytest.raises(EOFError):
        storage.get("broken")
