from __future__ import annotations

import os

import pytest

from actorc.storage import NetworkError
from actorc.storage._transfer.upload_journal import MAX_AGE, UploadJournal, fingerprint, locked, sweep

LONG_AGO = 1_000_000_000


def names(folder):
    return sorted(found.name for found in folder.iterdir())


def test_a_fingerprint_is_the_same_for_the_same_facts_and_no_others():
    assert fingerprint("a", 1, {"x": "y"}) == fingerprint("a", 1, {"x": "y"})
    assert fingerprint("a", "b") != fingerprint("ab", "")


def test_what_was_saved_is_there_after_a_network_error_only(tmp_path):
    def interrupted(error):
        with UploadJournal(tmp_path, "name") as journal:
            journal.save({"upload_id": "7"})
            raise error

    for error, expected in ((NetworkError("gone"), {"upload_id": "7"}), (KeyError("bug"), {})):
        with pytest.raises(type(error)):
            interrupted(error)
        with UploadJournal(tmp_path, "name") as journal:
            found = journal.load()

        assert found == expected
        assert names(tmp_path) == []


def test_an_upload_is_gone_on_with_by_one_process_at_a_time(tmp_path):
    with UploadJournal(tmp_path, "name") as first:
        first.save({"upload_id": "7"})
        with UploadJournal(tmp_path, "name") as second:
            second.save({"upload_id": "8"})

            assert (first.load(), second.load()) == ({"upload_id": "7"}, {})
        assert first.load() == {"upload_id": "7"}


def test_a_damaged_journal_says_nothing(tmp_path):
    for damage in (b"", b"{", b"\xff", b"[1]"):
        with UploadJournal(tmp_path, "name") as journal:
            (tmp_path / "name.json").write_bytes(damage)

            assert journal.load() == {}


@pytest.mark.parametrize("folder", ["file/below", None])
def test_a_folder_that_cannot_be_written_to_is_said_once_and_done_without(tmp_path, folder, caplog):
    (tmp_path / "file").touch()
    for _ in range(2):
        with UploadJournal(tmp_path / folder if folder else None, "name") as journal:
            journal.save({"upload_id": "7"})

            assert journal.load() == {}
    assert caplog.text.count("begin anew") == 1


def spoilt_by_mode(folder):
    folder.chmod(0o770)


def spoilt_by_owner(folder):
    os.chown(folder, 65534, 65534)


def spoilt_by_link(folder):
    folder.symlink_to(folder.rename(folder.with_name("elsewhere")))


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")


@pytest.mark.parametrize("spoil", [spoilt_by_mode, spoilt_by_link, pytest.param(spoilt_by_owner, marks=as_root)])
def test_a_folder_that_is_not_this_users_alone_is_neither_read_nor_written(tmp_path, spoil, caplog):
    # a name of its own: the warning comes once for each directory, and a directory may get the name of one before it
    folder = tmp_path / spoil.__name__
    folder.mkdir()
    (folder / "name.json").write_text('{"upload_id": "planted"}')
    spoil(folder)
    with UploadJournal(folder, "name") as journal:
        found = journal.load()
        journal.save({"upload_id": "mine"})

    assert found == {}
    assert names(folder) == ["name.json"]
    assert "planted" in (folder / "name.json").read_text()
    assert "is not this user's alone, set XDG_STATE_HOME" in caplog.text


def test_a_lock_is_held_once_and_let_go_with_its_descriptor(tmp_path):
    first = locked(tmp_path / "file")
    second = locked(tmp_path / "file")
    os.close(first)
    third = locked(tmp_path / "file")
    os.close(third)

    assert second is None


def test_a_link_is_never_locked(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="link"):
        locked(tmp_path / "link")

    assert not (tmp_path / "elsewhere").exists()


def test_the_sweep_takes_what_is_old_and_held_by_nobody(tmp_path):
    held = locked(tmp_path / "held.lock")
    for name in ("held.lock", "old.lock", "old.json", "young.lock", "young.json", "old.other"):
        (tmp_path / name).touch()
        if not name.startswith("young"):
            os.utime(tmp_path / name, (LONG_AGO, LONG_AGO))
    sweep(tmp_path, "*.lock", ".json")
    os.close(held)

    assert MAX_AGE == 7 * 24 * 3600
    assert names(tmp_path) == ["held.lock", "old.other", "young.json", "young.lock"]
