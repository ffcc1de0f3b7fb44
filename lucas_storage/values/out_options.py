"""`Out`: storage options of one result, written into the return annotation of a function."""

from __future__ import annotations

from dataclasses import dataclass

from lucas_storage.references.fields import is_filename

__all__ = ["Out"]


@dataclass(frozen=True, slots=True)
class Out:
    """Options for one result, as in ``-> Annotated[pd.DataFrame, Out("parquet", name="features")]``.

    Raises:
        TypeError: A field is neither a str nor None.
        ValueError: `name` is not one path segment.
    """

    format: str | None = None
    """Format id, such as ``parquet@1``, or its name without the version. None lets the value decide."""
    name: str | None = None
    """File name that the artifact has where a later step asks for a `Path`."""

    def __post_init__(self) -> None:
        for field in ("format", "name"):
            value = getattr(self, field)
            if value is not None and not isinstance(value, str):
                raise TypeError(f"Out takes a str as its {field}, not {type(value).__name__}")
        if self.name is not None and not is_filename(self.name):
            raise ValueError(f"the name {self.name!r} is not a file name; drop its directories")


Out.__module__ = "lucas_storage.outputs"  # where processes of any version find it
