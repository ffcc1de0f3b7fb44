"""Annotations as users write them, for errors."""

from __future__ import annotations

from typing import Final, assert_never

from .annotation import (
    Annotation,
    Columns,
    DictOf,
    Either,
    EnumOf,
    IteratorOf,
    ListOf,
    Made,
    OneOf,
    OrNone,
    Record,
    SetOf,
    StoredAs,
    TupleOf,
    TupleOfAnyLength,
    Word,
)

_WORDS: Final = {
    "any": "Any",
    "binaryio": "BinaryIO",
    "chunks": "Iterator[bytes]",
    "dataframe": "pd.DataFrame",
    "dataset": "pyarrow.dataset.Dataset",
    "lazyframe": "pl.LazyFrame",
    "ndarray": "np.ndarray",
    "path": "Path",
    "polars": "pl.DataFrame",
    "ref": "ArtifactRef",
    "table": "pa.Table",
    "textio": "TextIO",
}


def shown_word(word: str) -> str:
    """Return the type that a word stands for."""
    return _WORDS.get(word, word)


def shown(annotation: Annotation) -> str:  # noqa: C901, PLR0911, PLR0912  # one case for each form
    """Return an annotation as text."""
    match annotation:
        case Word(name):
            return shown_word(name)
        case OrNone(inner):
            return f"{shown(inner)} | None"
        case ListOf(items):
            return f"list[{shown(items)}]"
        case SetOf(items):
            return f"set[{shown(items)}]"
        case IteratorOf(items):
            return f"Iterator[{shown(items)}]"
        case DictOf(values, keys):
            return f"dict[{'str' if keys == Word('any') else shown(keys)}, {shown(values)}]"
        case TupleOf(items):
            return f"tuple[{', '.join(map(shown, items))}]"
        case TupleOfAnyLength(items):
            return f"tuple[{shown(items)}, ...]"
        case Record(name=name) | EnumOf(name):
            return name.rpartition(":")[2].rpartition(".")[2]
        case Either(members):
            return " | ".join(map(shown, members))
        case OneOf(values):
            return f"Literal[{', '.join(map(repr, values))}]"
        case Made(type, inner):
            _, bracket, arguments = shown(inner).partition("[")
            return f"{type}{bracket}{arguments}"
        case Columns(inner=inner) | StoredAs(inner=inner):
            return shown(inner)
    assert_never(annotation)
