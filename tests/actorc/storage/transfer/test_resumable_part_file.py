from __future__ import annotations

from datetime import UTC, datetime

import pytest

from actorc.storage import IntegrityError, NetworkError
from actorc.storage._transfer.resumable_part_file import PartFile
from actorc.storage._wire.checksum import crc32c
from actorc.storage.models import ObjectInfo

MiB = 1 << 20
CONTENT = bytes(range(256)) * (10 * MiB // 256)
STEPS = [CONTENT[: 4 * MiB], CONTENT[4 * MiB : 8 * MiB], CONTENT[8 * MiB :]]


def described(content=CONTENT, generation=1):
    return ObjectInfo(
        bucket="bucket",
        key="key",
        size=len(content),
        etag=f"etag-{generation}",
        generation=generation,
        crc32c=crc32c(content),
        content_type="text/plain",
        metadata={},
        last_modified=datetime(2026, 1, 1, tzinfo=UTC),
    )


def fill(file, *indexes):
    for index in indexes:
        file.write(file.span(index)[0], STEPS[index])
        file.record_step(index, crc32c(STEPS[index]))


def broken_off(error, target, *indexes, info=None):
    with PartFile(target, info or described()) as file:
        fill(file, *indexes)
        raise error


def interrupted(target, *indexes, info=None):
    """Leave a part file behind as a broken network does."""
    with pytest.raises(NetworkError):
        broken_off(NetworkError("gone"), target, *indexes, info=info)


def names(folder):
    return sorted(found.name for found in folder.iterdir())


def test_steps_cover_the_object(tmp_path):
    with PartFile(tmp_path / "file", described()) as file:
        spans = [file.span(index) for index in range(file.steps)]

    assert spans == [(0, 4 * MiB), (4 * MiB, 4 * MiB), (8 * MiB, 2 * MiB)]


def test_steps_in_any_order_become_the_file(tmp_path):
    with PartFile(tmp_path / "file", described()) as file:
        fill(file, 2, 0, 1)
        file.publish(overwrite=False)

    assert (tmp_path / "file").read_bytes() == CONTENT
    assert names(tmp_path) == ["file"]


def test_proven_steps_are_there_after_a_network_error(tmp_path):
    interrupted(tmp_path / "file", 0, 2)
    with PartFile(tmp_path / "file", described()) as file:
        found = [file.has_step(index) for index in range(file.steps)]
        fill(file, 1)
        file.publish(overwrite=False)

    assert found == [True, False, True]
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, IntegrityError("damaged")])
def test_any_other_exception_leaves_nothing(tmp_path, error):
    with pytest.raises((KeyboardInterrupt, OSError, IntegrityError)):
        broken_off(error, tmp_path / "file", 0)

    assert names(tmp_path) == []


def test_a_step_that_was_harmed_is_not_believed(tmp_path):
    interrupted(tmp_path / "file", 0, 1, 2)
    [part] = tmp_path.glob(".download-*.part")
    with part.open("r+b") as file:
        file.seek(5 * MiB)
        file.write(b"!")
        file.truncate(9 * MiB)
    with PartFile(tmp_path / "file", described()) as file:
        found = [file.has_step(index) for index in range(file.steps)]

    assert found == [True, False, False]


def test_a_journal_that_breaks_off_is_believed_up_to_there(tmp_path):
    interrupted(tmp_path / "file", 0, 1)
    [journal] = tmp_path.glob(".download-*.journal")
    journal.write_bytes(journal.read_bytes()[:-4])
    with PartFile(tmp_path / "file", described()) as file:
        found = [file.has_step(index) for index in range(file.steps)]

    assert found == [True, False, False]


def test_another_generation_begins_anew(tmp_path):
    interrupted(tmp_path / "file", 0, 1)
    interrupted(tmp_path / "file", info=described(generation=2))
    with PartFile(tmp_path / "file", described()) as file:
        found = [file.has_step(index) for index in range(file.steps)]

    assert found == [False, False, False]


def test_two_at_once_have_files_of_their_own_and_the_second_leaves_nothing(tmp_path):
    with PartFile(tmp_path / "file", described()) as first:
        fill(first, 0, 1, 2)
        interrupted(tmp_path / "file", 0)
        first.publish(overwrite=False)

    assert (tmp_path / "file").read_bytes() == CONTENT
    assert names(tmp_path) == ["file"]


def test_a_link_under_the_name_of_the_part_file_is_not_followed(tmp_path):
    interrupted(tmp_path / "file", 0)
    [part] = tmp_path.glob(".download-*.part")
    part.unlink()
    part.symlink_to(tmp_path / "precious")
    (tmp_path / "precious").write_bytes(b"precious")
    with PartFile(tmp_path / "file", described()) as file:
        fill(file, 0, 1, 2)
        file.publish(overwrite=False)

    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_file_that_is_not_the_object_is_not_published(tmp_path):
    with PartFile(tmp_path / "file", described()) as file:
        fill(file, 0, 1)
        file.record_step(2, 7)
        with pytest.raises(IntegrityError, match="checksum"):
            file.publish(overwrite=False)

    assert names(tmp_path) == []
