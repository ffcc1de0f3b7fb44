"""Formats: encodings of values as bytes, and the choice of a format for a value.

A reference names its format by a versioned id, never by an import path, so code may move.
"""

from __future__ import annotations

from lucas_storage.preview_data import Preview

from .base import Encoded, Format, MemorySource, Source
from .json_data.json_format import (
    TAGGED_ALONE,
    encode_data,
    encode_each,
    encode_exact,
    format_of_text,
    holds_references,
    is_tagged_scalar,
    may_hold_references,
)
from .json_data.plain_data import is_exact
from .registry import format_by_id, format_for, is_registered, register_format, why_pickled

__all__ = [
    "TAGGED_ALONE",
    "Encoded",
    "Format",
    "MemorySource",
    "Preview",
    "Source",
    "encode_data",
    "encode_each",
    "encode_exact",
    "format_by_id",
    "format_for",
    "format_of_text",
    "holds_references",
    "is_exact",
    "is_registered",
    "is_tagged_scalar",
    "may_hold_references",
    "register_format",
    "why_pickled",
]
