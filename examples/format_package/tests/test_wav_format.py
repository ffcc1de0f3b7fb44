"""The test of a format: what is stored comes back equal, and damaged bytes are an error."""

from __future__ import annotations

import wave
from array import array

import pytest
from acme_audio import Recording

from actorc.storage.testing import local_server
from lucas_storage import Storage, storage_context
from lucas_storage.errors import DecodeError


@pytest.fixture
def storage(tmp_path):
    with (
        local_server() as server,
        storage_context(endpoint=server.endpoint, cache_dir=tmp_path / "cache"),
        Storage() as handle,
    ):
        yield handle


@pytest.mark.parametrize("samples", [[], [0, 1, -1, 32767, -32768], list(range(10_000))])
def test_a_recording_comes_back_equal(storage, samples):
    recording = Recording(array("h", samples), 8000)
    ref = storage.put(recording)

    assert ref.format == "acme/wav@1"
    assert storage.get(ref) == recording


def test_it_is_a_file_for_every_player(storage):
    path = storage.path(storage.put(Recording(array("h", [1, 2, 3]), 8000)))

    assert path.suffix == ".wav"
    with wave.open(str(path)) as player:
        assert (player.getframerate(), player.getnframes()) == (8000, 3)


def test_a_damaged_file_is_an_error(storage, tmp_path):
    (tmp_path / "damaged.wav").write_bytes(b"RIFF" + bytes(100))

    with pytest.raises(DecodeError):
        storage.get(storage.put(tmp_path / "damaged.wav", format="acme/wav"))
