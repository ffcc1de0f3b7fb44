"""The format of recordings: WAV files, which every player opens. Imported when a recording is stored or loaded."""

from __future__ import annotations

import io
import sys
import wave
from array import array
from typing import Any

from lucas_storage import register_format
from lucas_storage.formats import Source

from . import Recording


@register_format("acme/wav@1", Recording, safe=True)
class WavFormat:
    """Decoding runs nothing that the bytes say, so the format is safe, and its references need no signature."""

    content_type = "audio/wav"
    extension = ".wav"

    def encode(self, recording: Recording) -> bytes:
        """Return the file; raise ValueError for what it cannot hold, rather than store something else."""
        if recording.samples.typecode != "h":
            raise ValueError("a recording has samples of 16 bits, array('h')")
        file = io.BytesIO()
        with wave.open(file, "wb") as writer:
            writer.setparams((1, 2, recording.rate, len(recording.samples), "NONE", "not compressed"))
            writer.writeframes(_little_endian(recording.samples).tobytes())
        return file.getvalue()

    def decode(self, source: Source, want: str | None) -> Any:
        """Return the recording, whatever the annotation; errors for damaged bytes become a DecodeError."""
        del want
        with wave.open(io.BytesIO(source.read()), "rb") as reader:
            if (reader.getnchannels(), reader.getsampwidth()) != (1, 2):
                raise ValueError("the file has other samples than a recording")
            samples = array("h")
            samples.frombytes(reader.readframes(reader.getnframes()))
            return Recording(_little_endian(samples), reader.getframerate())


def _little_endian(samples: array[int]) -> array[int]:
    """Return samples in the byte order of WAV files, or back from it."""
    swapped = samples[:]
    if sys.byteorder == "big":
        swapped.byteswap()
    return swapped
