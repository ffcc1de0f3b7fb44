"""Numbers of seven bits a byte, which messages and footers are full of."""

from __future__ import annotations

import pytest

from actorc import varint


@pytest.mark.parametrize(
    ("number", "written"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**64 - 1, "ff" * 9 + "01")]
)
def test_a_number_is_written_as_protobuf_writes_it(number, written):
    assert varint.encode(number).hex() == written
    assert varint.decode(b"?" + bytes.fromhex(written) + b"?", 1) == (number, 1 + len(written) // 2)


@pytest.mark.parametrize("data", ["", "80", "ff" * 9, "ff" * 10 + "01"])
def test_what_is_cut_off_or_too_long_is_refused(data):
    with pytest.raises(ValueError, match="cut off, or a number in them is too long"):
        varint.decode(bytes.fromhex(data), 0)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_numbers_come_one_after_the_other_in_pieces_of_any_length(size):
    numbers = [0, 1, 300, 2**62, 127, 128]
    written = b"".join(map(varint.encode, numbers))

    assert numbers == list(varint.decode_all(written[at : at + size] for at in range(0, len(written), size)))


@pytest.mark.parametrize("data", ["0180", "01" + "ff" * 9 + "01"])
def test_a_last_number_that_is_cut_off_or_too_long_is_refused(data):
    numbers = varint.decode_all([bytes.fromhex(data)], bits=63)

    assert next(numbers) == 1
    with pytest.raises(ValueError, match=r"cut off|too long"):
        next(numbers)
