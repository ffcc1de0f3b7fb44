"""The length of recordings, from the few bytes that tell it: WAV, FLAC, Ogg (Vorbis, Opus) and MP3.

Nothing is decoded. What a header claims is a claim, and shown as one.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import BinaryIO, Final

_TAIL: Final = 64 << 10
"""Bytes at the end of an Ogg file in which its last page is sought; a page has at most so many."""
_CHUNKS_MAX: Final = 100
"""Chunks of a WAV file before its samples."""
_OPUS_RATE: Final = 48_000
"""Positions in Opus are counted at this rate, whatever the recording had (RFC 7845, section 4)."""
_ID3_MAX: Final = 16 << 20
"""Bytes of tags before the first frame of an MP3 file, among them pictures."""
_RATES: Final = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Samples per second by the version and the index in the header of an MP3 frame (ISO/IEC 11172-3, 13818-3)."""
_KILOBITS: Final = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Of layer 3, by version 1, and 2 or 2.5."""
_LAYER_3: Final = 1


def is_audio(head: bytes) -> bool:
    """Return whether a file begins as a recording."""
    is_mp3 = len(head) > 3 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and _frame(head[:4]) is not None
    return (
        head[:4] in (b"fLaC", b"OggS") or head[:3] == b"ID3" or (head[:4], head[8:12]) == (b"RIFF", b"WAVE") or is_mp3
    )


def facts_of(file: BinaryIO, size: int) -> dict[str, str]:
    """Return what the headers of a recording say: its format, length, rate and channels.

    Raises:
        ValueError: They say nothing.
    """
    file.seek(0)
    head = file.read(64)
    try:
        if head[:4] == b"RIFF":
            return _wav(file, size)
        if head[:4] == b"fLaC":
            return _flac(head)
        return _ogg(file, size, head) if head[:4] == b"OggS" else _mp3(file, size, head)
    except (struct.error, IndexError, ZeroDivisionError, LookupError) as error:
        raise ValueError("the headers of the recording are damaged") from error


def _wav(file: BinaryIO, size: int) -> dict[str, str]:
    position, rate, channels, per_second, bits = 12, 0, 0, 0, 0
    for _ in range(_CHUNKS_MAX):
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"fmt ":
            _, channels, rate, per_second, _, bits = struct.unpack("<HHIIHH", file.read(16))
        if name == b"data":
            # A file that was streamed claims as many bytes as there can be.
            present = min(length, size - position - 8)
            return _facts(f"WAV, {bits} bits", present / per_second, rate, channels)
        position += 8 + length + length % 2
    raise ValueError("there are no samples")


def _flac(head: bytes) -> dict[str, str]:
    # The block STREAMINFO is always the first (RFC 9639, section 8.2).
    packed = int.from_bytes(head[18:26], "big")
    rate, channels, bits = packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1
    samples = packed & ((1 << 36) - 1)
    if len(head) < 26 or not rate:
        raise ValueError("the stream info is missing")
    return _facts(f"FLAC, {bits} bits", samples / rate if samples else None, rate, channels)


def _ogg(file: BinaryIO, size: int, head: bytes) -> dict[str, str]:
    begin = 27 + head[26]
    packet = head[begin : begin + 20]
    skipped = 0
    if packet[:8] == b"OpusHead":
        kind, channels, skipped = "Opus", packet[9], int.from_bytes(packet[10:12], "little")
        rate = _OPUS_RATE
    elif packet[1:7] == b"vorbis":
        kind, channels, rate = "Vorbis", packet[11], int.from_bytes(packet[12:16], "little")
    else:
        raise ValueError("the recording is of a kind whose header is not known here")
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    last = tail.rfind(b"OggS")
    (position,) = struct.unpack_from("<q", tail, last + 6) if last >= 0 else (-1,)
    seconds = max(0, position - skipped) / rate if position >= 0 else None
    return _facts(f"Ogg {kind}", seconds, rate, channels)


def _mp3(file: BinaryIO, size: int, head: bytes) -> dict[str, str]:
    begin = 0
    if head[:3] == b"ID3":
        length = sum((head[6 + at] & 127) << 7 * (3 - at) for at in range(4))
        begin = min(10 + length, _ID3_MAX)
    file.seek(begin)
    frame = file.read(4096)
    # Tags are often followed by empty bytes.
    start = next((at for at in range(len(frame) - 4) if _frame(frame[at : at + 4]) is not None), None)
    if start is None:
        raise ValueError("there is no frame of MP3")
    version, rate, bits, channels = _frame(frame[start : start + 4]) or (0, 0, 0, 0)
    samples = 1152 if version == 3 else 576
    side = (17 if channels == 1 else 32) if version == 3 else (9 if channels == 1 else 17)
    xing = frame[start + 4 + side : start + 16 + side]
    if xing[:4] in (b"Xing", b"Info") and xing[7] & 1:
        return _facts("MP3", int.from_bytes(xing[8:12], "big") * samples / rate, rate, channels)
    # By the bits of its first frame; a file whose frames differ has a header that tells their number.
    return _facts("MP3", (size - begin - start) * 8 / bits, rate, channels, about=True)


def _frame(head: bytes) -> tuple[int, int, int, int] | None:
    """Return version, samples and bits per second, and channels of a frame of MP3; None if it is none."""
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bits, rate = head[2] >> 4, head[2] >> 2 & 3
    if head[0] != 0xFF or head[1] < 0xE0 or version == 1 or layer != _LAYER_3 or bits in (0, 15) or rate == 3:
        return None
    kilobits = _KILOBITS[3 if version == 3 else 2][bits]
    return version, _RATES[version][rate], kilobits * 1000, 1 if head[3] >> 6 == 3 else 2


def _facts(kind: str, seconds: float | None, rate: int, channels: int, *, about: bool = False) -> dict[str, str]:
    length: Mapping[str, str] = {} if seconds is None else {"length": f"{'about ' if about else ''}{_time(seconds)}"}
    return {"audio": kind, **length, "rate": f"{rate} Hz", "channels": str(channels)}


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
