from __future__ import annotations

import os

from actorc.storage.files import early_writeback

MiB = 1 << 20


def test_a_range_whose_writing_began_has_the_bytes_that_were_written_and_takes_others(tmp_path):
    path = tmp_path / "file"
    with path.open("w+b", buffering=0) as file:
        file.write(bytes(2 * MiB))
        early_writeback.begin(file.fileno(), MiB, MiB)
        os.pwrite(file.fileno(), b"later", MiB)

    assert path.read_bytes() == bytes(MiB) + b"later" + bytes(MiB - 5)


def test_what_cannot_be_written_early_is_left_alone():
    reading, writing = os.pipe()
    early_writeback.begin(writing, 0, MiB)
    os.close(reading)
    os.close(writing)

    # nor does a descriptor matter that is closed by now
    early_writeback.begin(writing, 0, MiB)
