"""What the bytecode of a function says: a digest of what it does, and the names that it looks up elsewhere.

The bytecode and not the source, since it is what runs: a file may have been edited after it was imported, and code
that was typed in or generated has no source. Comments, line numbers, docstrings and the name of the file are not in
it. It differs between minor versions of Python, which count anyway, as the version of the standard library.
"""

from __future__ import annotations

import dis
import hashlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any, Final, TypeAlias

Chain: TypeAlias = tuple[str, ...]
"""A name and the attributes that are asked of it, one of the other: ``a.b.c`` is ``("a", "b", "c")``."""

_GLOBAL: Final = ("LOAD_GLOBAL", "LOAD_NAME")
_ENCLOSING: Final = ("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF")
_ATTRIBUTE: Final = ("LOAD_ATTR", "LOAD_METHOD")
_STORES: Final = ("STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF")
_THEN_LOADS: Final = "_LOAD_FAST"
"""Within the names of instructions of Python 3.13 and later that bind one name and load another one."""
_ASSIGNS: Final = ("STORE_GLOBAL", "DELETE_GLOBAL")
_CHANGERS: Final = frozenset(
    ("add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "insert", "setdefault", "update")
)
"""Methods of lists, sets, dicts and deques that say nothing of the content, if what they return is dropped."""
_HAS_DOCSTRING: Final = getattr(inspect, "CO_HAS_DOCSTRING", 0)
"""Flag of Python 3.14 and later."""
_JUMPS: Final = frozenset((*dis.hasjrel, *dis.hasjabs))
_CONSTANTS: Final = frozenset(dis.hasconst)
_NAMED: Final = frozenset((*dis.hasname, *dis.haslocal, *dis.hasfree))


@dataclass(frozen=True, slots=True)
class Import:
    """An ``import`` statement within a function, for one of the names that it binds."""

    variable: str
    module: str
    level: int
    """Number of leading dots."""
    attributes: Chain
    """What is bound is this attribute of the module; of none, the module."""


@dataclass(frozen=True, slots=True)
class FunctionCode:
    """The facts about a code object and all code within it. Sets are tuples, sorted."""

    digest: str
    """64 hexadecimal digits over what it does."""
    read: tuple[Chain, ...]
    """Global names, and what is asked of them."""
    enclosing: tuple[Chain, ...]
    """Names of enclosing functions, likewise; those that this function binds for functions within it are among them."""
    local: tuple[Chain, ...]
    """Names of its own that an ``import`` binds, likewise."""
    changed: frozenset[Chain]
    """Names of all three kinds that are never read, only added to: ``calls.append(x)``, ``seen[x] = y``, ``n += 1``."""
    optional: frozenset[str]
    """Global names that may as well be names of the body of a class."""
    assigned: frozenset[str]
    """Global names that it binds or deletes."""
    imports: tuple[Import, ...]


@lru_cache(maxsize=4096)  # a step is looked at again at each call if it uses objects whose state may have changed
def function_code(code: CodeType) -> FunctionCode:
    """Return the facts about `code`; equal in every process with the same minor version of Python."""
    names = _Names()
    for each in _with_inner(code):
        names.read(_instructions(each), has_handlers=bool(each.co_exceptiontable))
    # A name that is read anywhere counts with its content, whatever else is done to it.
    read = names.found["global"] | names.found["enclosing"] | names.found["local"]
    changed = {chain for chain in names.changed if not any(chain == other[: len(chain)] for other in read)}
    imported = {each.variable for each in names.imports}
    return FunctionCode(
        digest=hashlib.sha256(ascii(_content(code)).encode()).hexdigest(),
        read=tuple(sorted(names.found["global"] | names.changes["global"])),
        enclosing=tuple(sorted(names.found["enclosing"] | names.changes["enclosing"])),
        local=tuple(sorted(chain for chain in read | names.changed if chain[0] in imported)),
        changed=frozenset(changed),
        optional=frozenset(names.optional),
        assigned=frozenset(names.assigned),
        imports=tuple(names.imports),
    )


class _Names:
    """Collects the names of code objects."""

    def __init__(self) -> None:
        self.found: dict[str, set[Chain]] = {"global": set(), "enclosing": set(), "local": set()}
        self.changes: dict[str, set[Chain]] = {"global": set(), "enclosing": set(), "local": set()}
        self.optional: set[str] = set()
        self.assigned: set[str] = set()
        self.imports: list[Import] = []

    @property
    def changed(self) -> set[Chain]:
        return set().union(*self.changes.values())

    def read(self, code: tuple[dis.Instruction, ...], *, has_handlers: bool) -> None:
        for at, instruction in enumerate(code):
            name = instruction.opname
            if name == "IMPORT_NAME":
                self.imports.extend(_imports(code, at))
            elif name in _ASSIGNS:
                self.assigned.add(instruction.argval)
            elif name.startswith("LOAD_") or _THEN_LOADS in name:
                self._load(code, at, has_handlers=has_handlers)

    def _load(self, code: tuple[dis.Instruction, ...], at: int, *, has_handlers: bool) -> None:
        kind = _kind(code[at].opname)
        if kind is None:
            return
        if code[at].opname == "LOAD_NAME":
            self.optional.add(code[at].argval)
        # Some instructions load two names; attributes are asked of the second one.
        *others, last = code[at].argval if isinstance(code[at].argval, tuple) else (code[at].argval,)
        if code[at].opname.startswith("LOAD_"):
            self.found[kind].update((name,) for name in others)
        end = at + 1
        while end < len(code) and code[end].opname in _ATTRIBUTE:
            end += 1
        chain = (last, *(each.argval for each in code[at + 1 : end]))
        if _only_changes(code, at, chain, has_handlers=has_handlers):
            is_call = chain[-1] in _CHANGERS and len(chain) > 1
            self.changes[kind].add(chain[:-1] if is_call else chain)
        else:
            self.found[kind].add(chain)


def _kind(opname: str) -> str | None:
    if opname in _GLOBAL:
        return "global"
    if opname in _ENCLOSING:
        return "enclosing"
    return "local" if opname.startswith("LOAD_FAST") or _THEN_LOADS in opname else None


def _only_changes(code: tuple[dis.Instruction, ...], at: int, chain: Chain, *, has_handlers: bool) -> bool:
    """Return whether what is loaded at an index is added to and not read, as far as can be seen without its value.

    Follows the height of the stack above what was loaded, until that is used. Where the code branches meanwhile, or
    binds a name, the answer is no; so it is where a missing key raises what the code may catch.
    """
    height = 1
    for index in range(at + 1, len(code) - 1):
        now, after = code[index], code[index + 1]
        is_added_to = height == 2 and now.opname == after.opname == "COPY"  # counts[key] += 1
        if is_added_to or now.opname == "STORE_SUBSCR":
            return height == 2 and not has_handlers  # seen[key] = value: the value is below, the key above
        if now.opcode in _JUMPS or now.opname.startswith(_STORES):
            return False
        height += dis.stack_effect(now.opcode, now.arg, jump=False)
        if height == 1 and now.opname.startswith("CALL"):
            return len(chain) > 1 and chain[-1] in _CHANGERS and after.opname == "POP_TOP"
        # Python 3.14 reads items by this instruction as well: n = n[0]
        if height == 1 and now.opname == "BINARY_OP" and now.argrepr != "[]":
            return len(chain) == 1 and after.opname.startswith(_STORES) and _first(after) == chain[0]  # n += 1
        if height < 1 or (height == 1 and now.opname not in _ATTRIBUTE):
            return False
    return False


def _imports(code: tuple[dis.Instruction, ...], at: int) -> Iterator[Import]:
    """Yield the names that an import statement binds."""
    level, names = code[at - 2].argval, code[at - 1].argval
    module: str = code[at].argval
    # Without `from`, what is bound is the outermost package, or with `as` an attribute of an attribute of it.
    bound: Chain = ()
    for instruction in code[at + 1 :]:
        if instruction.opname == "IMPORT_FROM":
            bound = (instruction.argval,) if names else (*bound, instruction.argval)
        elif instruction.opname.startswith("STORE_"):
            yield Import(_first(instruction), module if names else module.partition(".")[0], level, bound)
            if not names:
                return
        elif instruction.opname not in ("POP_TOP", "SWAP", "ROT_TWO"):
            return


def _first(instruction: dis.Instruction) -> Any:
    """Return the name that an instruction is about; of one with two names, the first."""
    return instruction.argval[0] if isinstance(instruction.argval, tuple) else instruction.argval


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)


@lru_cache(maxsize=32)  # for the digest and for the names, one soon after the other
def _instructions(code: CodeType) -> tuple[dis.Instruction, ...]:
    return tuple(each for each in dis.get_instructions(code) if each.opname != "EXTENDED_ARG")


def _content(code: CodeType) -> list[Any]:
    # With the constants where they are used: the docstring is a constant that no instruction names.
    return [
        code.co_flags & ~_HAS_DOCSTRING,
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount),
        (code.co_varnames, code.co_cellvars, code.co_freevars),
        code.co_exceptiontable,
        [(each.opname, _argument(each)) for each in _instructions(code)],
    ]


def _argument(instruction: dis.Instruction) -> Any:
    if instruction.opcode in _CONSTANTS:
        return _constant(instruction.argval)
    return instruction.argval if instruction.opcode in _NAMED else instruction.arg


def _constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _content(value)
    if isinstance(value, tuple):
        return tuple(map(_constant, value))
    if isinstance(value, frozenset):
        # Its order depends on the hash seed of the process.
        return "frozenset", sorted(map(ascii, map(_constant, value)))
    # Hexadecimal, since Python refuses to write long integers in decimal.
    return hex(value) if type(value) is int else (type(value).__name__, value)
