"""Generate the methods of `AsyncStorageClient` from those of `StorageClient`; run by ``make async-client``.

Signatures and docstrings are the text of the sources, except for what the tables below replace. What runs the methods
on threads is in ``actorc/storage/_async``.

    python generators/async_client.py [TARGET]

TARGET is the folder to write into, the repository by default.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
STORAGE: Final = Path("actorc", "storage")
SOURCES: Final = (
    "client.py",
    "_client/objects.py",
    "_client/reads.py",
    "_client/batches.py",
    "_client/transfers.py",
    "_client/opening.py",
    "_client/multipart.py",
    "_client/buckets.py",
    "_client/presigning.py",
)
"""The modules whose classes have the methods."""

GENERATED: Final = Path("_async", "_generated", "methods.py")

BY_HAND: Final = ("close",)
"""Public methods without a generated counterpart."""

PARAMETERS: Final = {
    "ByteSource": ("AsyncByteSource", "source_for", "Asynchronous iterables and files are taken, too."),
    "IO[bytes]": ("IO[bytes] | AsyncWritable", "sink_for", "A file whose ``write`` is awaited is taken, too."),
    "Progress | None": ("Progress | None", "progress_for", "The task that awaits this calls it."),
}
"""By annotation: the annotation of the counterpart, what adapts a value to a thread, and a sentence about it."""

PHRASES: Final = {
    "`StorageClient`": "`AsyncStorageClient`",
    "Iterate over": "Iterate by ``async for`` over",
    "raised while iterating": "raised by ``async for``",
    "Open an object as a file, for libraries that take one: `csv`, `zipfile`, numpy, pandas.": (
        "Return an object as a file whose methods are awaited; ``async with`` opens and closes it."
    ),
    "a ``with`` body that raises": "an ``async with`` that raises",
}
"""Phrases of docstrings, and what the counterpart says instead."""

HEAD: Final = '''"""Generated from ``client.py`` and ``_client`` by ``make async-client``; do not edit it."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable, Mapping
from functools import partial
from typing import IO, TYPE_CHECKING, Literal, overload

from actorc.storage import rules
from actorc.storage._async.object_file import AsyncObjectFile
from actorc.storage._async.session import MAX_THREADS, AsyncSession
from actorc.storage._async.stream_adapters import AsyncByteSource, AsyncWritable, progress_for, sink_for, source_for
from actorc.storage._async.thread_call import ThreadCall
from actorc.storage._retry import RetryPolicy
from actorc.storage.models import (
    BucketResult,
    CompletedPart,
    DeleteObjectsResult,
    DownloadResult,
    GetObjectsResult,
    ListResult,
    NewObject,
    NewUpload,
    ObjectHead,
    PartResult,
    PutObjectsResult,
    PutResult,
    ServerInfoResult,
    UploadList,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from actorc.storage._rpc.payload import Progress
    from actorc.storage.files.seekable_reader import BlobFile


class AsyncMethods(AsyncSession):
    """The methods of `AsyncStorageClient`."""
'''

WIDTH: Final = 120


def generate(target: Path, source: Path = ROOT) -> None:
    """Write the module below `target`, of the sources below `source`.

    Raises:
        LookupError: No source has a phrase of `PHRASES` any more.
    """
    sources = [(source / STORAGE / name).read_text() for name in SOURCES]
    for phrase in PHRASES:
        if not any(phrase in text for text in sources):
            raise LookupError(f"no docstring has {phrase!r} any more; adapt PHRASES to what it says now")
    module = target / STORAGE / GENERATED
    module.parent.mkdir(parents=True, exist_ok=True)
    module.with_name("__init__.py").write_text('"""The methods of `AsyncStorageClient`, generated."""\n')
    module.write_text(HEAD + "".join(method for text in sources for method in Source(text).counterparts()))


class Source:
    """One module of the synchronous client.

    Args:
        text: Its text.
    """

    def __init__(self, text: str) -> None:
        self._source = text
        self._bytes = text.encode()  # in which nodes tell their columns
        self._starts = [0, *accumulate(map(len, self._bytes.splitlines(keepends=True)))]

    def counterparts(self) -> Iterator[str]:
        """Yield each method's counterpart, formatted as ``ruff format`` does."""
        (methods,) = (node for node in ast.parse(self._source).body if isinstance(node, ast.ClassDef))
        for method in methods.body:
            if isinstance(method, ast.FunctionDef) and _has_counterpart(method.name):
                yield "".join(f"{line}\n" for line in ("", *self._method(method)))

    def _method(self, method: ast.FunctionDef) -> list[str]:
        declared, passed = self._parameters(method.args)
        kind, returns, before = "def", self._text(method.returns), []
        if any(isinstance(decorator, ast.Name) and decorator.id == "overload" for decorator in method.decorator_list):
            return ["    @overload", *_laid_out(f"    async def {method.name}(", declared, f") -> {returns}: ...")]
        if method.name == "__init__":
            declared.append("max_threads: int = MAX_THREADS")
            options = [parameter.partition(":")[0] for parameter in declared[1:] if parameter != "*"]
            body = _laid_out("        self._open(", [f"{name}={name}" for name in options], ")")
        elif method.decorator_list:
            before, body = ["    @property"], [*self._doc(method), f"        return self._client.{method.name}"]
        else:
            kind, returns, body = self._call(f"self._client.{method.name}", passed, returns)
            body = self._doc(method) + body
        return [*before, *_laid_out(f"    {kind} {method.name}(", declared, f") -> {returns}:"), *body]

    def _call(self, called: str, passed: list[str], returns: str) -> tuple[str, str, list[str]]:
        """Return ``def`` or ``async def``, what the counterpart returns, and its body."""
        if returns.startswith("Iterator["):
            item = returns.removeprefix("Iterator[").removesuffix("]")
            at_once = "1" if item == "bytes" else "rules.MAX_PAGE"  # a piece may have 1 MiB, other items are small
            body = _laid_out(f"        items = {called}(", passed, ")")
            return "def", f"AsyncGenerator[{item}, None]", [*body, f"        return self._iterate(items, {at_once})"]
        if returns == "IO[Any]":
            body = _laid_out("        opening = partial(", [called, *passed], ")")
            return "def", "AsyncObjectFile", [*body, "        return AsyncObjectFile(self._threads, opening)"]
        in_task = any("(call, " in value for value in passed)
        start = ["        call = ThreadCall(self._threads)"] if in_task else []
        head = f"        {'' if returns == 'None' else 'return '}await {'call.run' if in_task else 'self._run'}("
        return "async def", returns, [*start, *_laid_out(head, [called, *passed], ")")]

    def _parameters(self, arguments: ast.arguments) -> tuple[list[str], list[str]]:
        """Return the parameters as they are declared, and the arguments of the call on the thread."""
        if arguments.posonlyargs or arguments.vararg or arguments.kwarg:
            raise NotImplementedError("positional-only parameters, *args and **kwargs")
        positional, named = arguments.args[1:], arguments.kwonlyargs
        defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults + arguments.kw_defaults
        declared = [self._declared(*one) for one in zip(positional + named, defaults, strict=True)]
        if named:
            declared.insert(len(positional), "*")
        passed = [self._passed(parameter) for parameter in positional]
        passed += [f"{parameter.arg}={self._passed(parameter)}" for parameter in named]
        return ["self", *declared], passed

    def _declared(self, parameter: ast.arg, default: ast.expr | None) -> str:
        annotation = self._text(parameter.annotation)
        annotation, *_ = PARAMETERS.get(annotation, (annotation,))
        return f"{parameter.arg}: {annotation}" + (f" = {self._text(default)}" if default else "")

    def _passed(self, parameter: ast.arg) -> str:
        adapted = PARAMETERS.get(self._text(parameter.annotation))
        return f"{adapted[1]}(call, {parameter.arg})" if adapted else parameter.arg

    def _doc(self, method: ast.FunctionDef) -> list[str]:
        """Return the lines of the docstring, with the tables' phrases and sentences."""
        text = self._text(method.body[0])
        for phrase, instead in PHRASES.items():
            text = text.replace(phrase, instead)
        lines = f"        {text}".split("\n")
        for parameter in (*method.args.args[1:], *method.args.kwonlyargs):
            adapted = PARAMETERS.get(self._text(parameter.annotation))
            if adapted:
                _append(lines, parameter.arg, adapted[2])
        return lines

    def _text(self, node: ast.expr | ast.stmt | None) -> str:
        # ast.get_source_segment splits the whole module anew for each node
        assert node is not None, "every parameter and every result has an annotation"
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        return self._bytes[start : self._starts[node.end_lineno - 1] + node.end_col_offset].decode()


def _has_counterpart(name: str) -> bool:
    return name == "__init__" or not (name.startswith("_") or name in BY_HAND)


def _append(doc: list[str], parameter: str, sentence: str) -> None:
    """Add a sentence to what a docstring says of a parameter, if it does."""
    entry = f"{' ' * 12}{parameter}: "
    last = next((number for number, line in enumerate(doc) if line.startswith(entry)), None)
    if last is None:
        return
    while doc[last + 1].startswith(" " * 16):
        last += 1
    joined = f"{doc[last]} {sentence}"
    doc[last : last + 1] = [joined] if len(joined) <= WIDTH else [doc[last], f"{' ' * 16}{sentence}"]


def _laid_out(head: str, items: list[str], tail: str) -> list[str]:
    """Return a list in brackets on one line, else indented on one, else one line for each item."""
    indent = " " * (len(head) - len(head.lstrip()))
    for lines in (
        [f"{head}{', '.join(items)}{tail}"],
        [head, f"{indent}    {', '.join(items)}", f"{indent}{tail}"],
    ):
        if all(len(line) <= WIDTH for line in lines):
            return lines
    return [head, *(f"{indent}    {item}," for item in items), f"{indent}{tail}"]


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
