"""What decides a result is in its key: changing any one thing that decides changes it, changing nothing keeps it."""

from __future__ import annotations

import functools
import importlib
import linecache
import os
import pickle
import subprocess
import sys
import textwrap
import types

import cloudpickle
import numpy as np
import pytest

from lucas_storage import with_storage
from lucas_storage.errors import CacheKeyError
from lucas_storage.steps.contract import Contract
from lucas_storage.steps.function_version import FunctionVersion

HEAD = "from lucas_storage import with_storage\n"
STEP = "@with_storage\ndef step(x):\n    return helper(x)\n"


def version_of(step):
    return FunctionVersion(step.__wrapped__, Contract.from_shipped(step._contract)).identity()[1]


def loaded(text, name="__main__", **more):
    """Run a script of this text, as a notebook or a program does, and return its names."""
    names = {"__name__": name, **more}
    exec(compile(HEAD + textwrap.dedent(text), "<script>", "exec"), names)
    return names


def version(text, **more):
    return version_of(loaded(text, **more)["step"])


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A function that writes modules of a project, drops those of the one before, and gives the version of its step."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def of(script, files):
        for name in [name for name in sys.modules if name.partition(".")[0] in ("own", "ownpkg")]:
            del sys.modules[name]
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        return version(script)

    return of


DECIDING = {
    "a helper": (STEP + "def helper(x): return x + {}", "1", "2"),
    "a helper of a helper": (STEP + "def helper(x): return inner(x)\ndef inner(x): return x + {}", "1", "2"),
    "functions that call each other": (
        STEP + "def helper(x): return other(x)\ndef other(x): return helper(x - {})",
        "1",
        "2",
    ),
    "a function named by an inner one": (
        STEP + "def helper(x):\n    return [(lambda: [inner(i) for i in x])()]\ndef inner(x): return x + {}",
        "1",
        "2",
    ),
    "a constant": ("K = {}\n@with_storage\ndef step(x): return K", "1", "2", "True", "1.0", "'1'", "b'1'", "None"),
    "a float": ("K = float({})\n@with_storage\ndef step(x): return K", "'nan'", "0.0", "-0.0", "'inf'"),
    "a container": ("K = {}\n@with_storage\ndef step(x): return K", "[1]", "(1,)", "{1}", "{1: 1}", "[[1]]"),
    "an object of the standard library": (
        "import datetime, decimal, re, uuid\nK = {}\n@with_storage\ndef step(x): return K",
        "decimal.Decimal('1.0')",
        "decimal.Decimal('1.00')",
        "datetime.date(2020, 1, 1)",
        "datetime.datetime(2020, 1, 1)",
        "re.compile('a')",
        "re.compile('a', re.I)",
        "uuid.UUID(int=1)",
        "1j",
        "range(2)",
        "list[int]",
        "int | None",
    ),
    "an array": (
        "import numpy as np\nK = np.{}\n@with_storage\ndef step(x): return K",
        "arange(2)",
        "arange(3)",
        "mean",
    ),
    "a default": (STEP + "def helper(x, y={}): return y", "1", "2", "[]", "len"),
    "a keyword default": (STEP + "def helper(x, *, y={}): return y", "1", "2", "[]", "len"),
    "a function as a default": ("@with_storage\ndef step(x, op=lambda v: v + {}): return op(x)", "1", "2"),
    "a partial": (
        "import functools\nK = functools.partial(pow, {})\n@with_storage\ndef step(x): return K(x)",
        "1",
        "2",
    ),
    "functions in a dict": (
        "K = {{'a': [lambda x: x + {}]}}\n@with_storage\ndef step(x): return K['a'][0](x)",
        "1",
        "2",
    ),
    "functions in a set": (
        "def a(x): return {}\ndef b(x): return 0\nK = {{a, b}}\n@with_storage\ndef step(x): return K",
        "1",
        "2",
    ),
    "the code of a wrapper": (
        (
            "import functools\ndef deco(fn):\n    @functools.wraps(fn)\n    def wrapper(x): return fn(x) + {}\n"
            "    return wrapper\n@with_storage\n@deco\ndef step(x): return x"
        ),
        "1",
        "2",
    ),
    "a variable of a wrapper": (
        "import functools\ndef deco(n):\n    def inner(fn):\n        @functools.wraps(fn)\n"
        "        def wrapper(x): return fn(x) + n\n        return wrapper\n    return inner\n"
        + STEP
        + "@deco({})\ndef helper(x): return x",
        "1",
        "2",
    ),
    "what a wrapper wraps": (
        "import functools\ndef deco(fn):\n    @functools.wraps(fn)\n    def wrapper(x): return fn(x)\n"
        "    return wrapper\n" + STEP + "@deco\ndef helper(x): return {}",
        "1",
        "2",
    ),
    "what a wrapper of the standard library wraps": (
        "import functools, contextlib\n" + STEP + "@functools.{}\ndef helper(x): return 1",
        "lru_cache",
        "singledispatch",
        "partial(contextlib.contextmanager)",
    ),
    "a cached function": ("import functools\n" + STEP + "@functools.cache\ndef helper(x): return {}", "1", "2"),
    "a branch of a dispatcher": (
        "import functools\n"
        + STEP
        + "@functools.singledispatch\ndef helper(x): return 0\n@helper.register\ndef _(x: int): return {}",
        "1",
        "2",
    ),
    "a method": (STEP + "class A:\n    def m(self): return {}\ndef helper(x): return A().m()", "1", "2"),
    "a method of a base": (
        STEP + "class B:\n    def m(self): return {}\nclass A(B):\n    def m(self): return super().m()\n"
        "def helper(x): return A().m()",
        "1",
        "2",
    ),
    "an attribute of a class": (STEP + "class A:\n    K = {}\ndef helper(x): return A.K", "1", "2", "'1'"),
    "a property": (STEP + "class A:\n    @property\n    def p(self): return {}\ndef helper(x): return A().p", "1", "2"),
    "a metaclass": (
        "class M(type):\n    def __call__(cls): return {}\nclass A(metaclass=M): ...\n"
        + STEP
        + "def helper(x): return A()",
        "1",
        "2",
    ),
    "a bound method": (
        (
            "class A:\n    def __init__(self, w): self.w = w\n    def m(self, x): return self.w\nK = A({}).m\n"
            "@with_storage\ndef step(x): return K(x)"
        ),
        "1",
        "2",
    ),
    "the state of a callable object": (
        (
            "class A:\n    __slots__ = ('w',)\n    def __init__(self, w): self.w = w\n"
            "    def __call__(self, x): return x\n"
            "K = A({})\n@with_storage\ndef step(x): return K(x)"
        ),
        "1",
        "[2]",
    ),
    "the code of a callable object": (
        "class A:\n    def __call__(self, x): return {}\nK = A()\n@with_storage\ndef step(x): return K(x)",
        "1",
        "2",
    ),
    "a default of a dataclass": (
        (
            "from dataclasses import dataclass, field\n@dataclass\nclass A:\n    a: object = {}\n"
            "@with_storage\ndef step(x): return A()"
        ),
        "1",
        "2",
        "field(default_factory=list)",
        "field(default_factory=lambda: [1])",
        "field(default=1, repr=False)",
    ),
    "an option of a dataclass": (
        "from dataclasses import dataclass\n@dataclass({})\nclass A:\n    a: int\n"
        + STEP
        + "def helper(x): return A(x)",
        "",
        "order=True",
        "frozen=True",
        "slots=True",
    ),
    "a class made at run time": (
        "import dataclasses\nA = dataclasses.make_dataclass('A', [('a', int, {})])\n"
        + STEP
        + "def helper(x): return A()",
        "1",
        "2",
    ),
    "whether a key is there": (
        "counts = {}\n" + STEP + "def helper(x):\n    try: counts[x] += 1\n    except KeyError: return 0\n    return 1",
        "{}",
        "{1: 1}",
    ),
    "a member of an enumeration": (
        "import enum\nclass A(enum.Enum):\n    a = {}\n@with_storage\ndef step(x): return A.a.value",
        "1",
        "2",
    ),
    "the class of a parameter": (
        (
            "from dataclasses import dataclass\n@dataclass\nclass A:\n    a: int\n    def m(self): return {}\n"
            "@with_storage\ndef step(x: A): return x.m()"
        ),
        "1",
        "2",
    ),
    "the annotation of a parameter": ("@with_storage\ndef step(x: {}): return x", "int", "str", "bytes"),
    "another step": ("@with_storage\ndef helper(x): return {}\n" + STEP, "1", "2"),
    "the version of another step": ("@with_storage(version='{}')\ndef helper(x): return 1\n" + STEP, "1", "2"),
    "a variable of the function around it": (
        "def make(op):\n    @with_storage\n    def step(x): return op(x)\n    return step\nstep = make({})",
        "len",
        "sum",
        "lambda x: 1",
        "lambda x: 2",
    ),
    "the order of what may fail": (
        "@with_storage\ndef step(x):\n    {}",
        "a = len(x)\n    try: b = sum(x)\n    except TypeError: b = 0\n    return a + b",
        "try: a = len(x); b = sum(x)\n    except TypeError: b = 0\n    return a + b",
    ),
}


@pytest.mark.parametrize(
    ("template", "values"), [(each[0], each[1:]) for each in DECIDING.values()], ids=list(DECIDING)
)
def test_whatever_decides_a_result_tells_versions_apart(template, values):
    versions = [version(template.format(value)) for value in values]

    assert len(set(versions)) == len(values)
    assert versions == [version(template.format(value)) for value in values]


@pytest.mark.parametrize("kind", ["attrs", "pydantic"])
def test_fields_of_classes_that_packages_make_count(kind):
    pytest.importorskip(kind)
    classes = {
        "attrs": "import attrs\n@attrs.define\nclass A:\n    a: int = {}\n",
        "pydantic": "import pydantic\nclass A(pydantic.BaseModel):\n    a: int = pydantic.{}\n",
    }
    values = {
        "attrs": ("1", "2", "attrs.field(factory=int)", "attrs.field(default=1, validator=attrs.validators.gt(0))"),
        "pydantic": ("Field(1)", "Field(2)", "Field(1, gt=0)", "Field(default_factory=lambda: 1)"),
    }
    texts = [classes[kind].format(value) + "@with_storage\ndef step(x): return A().a" for value in values[kind]]

    assert len({version(text) for text in texts}) == len(texts)
    assert list(map(version, texts)) == list(map(version, texts))


MODULES = {
    "module.name": "import own\n@with_storage\ndef step(x): return own.fn(x)",
    "a name of a module": "from own import fn\n@with_storage\ndef step(x): return fn(x)",
    "an import within": "@with_storage\ndef step(x):\n    import own\n    return own.fn(x)",
    "an import under another name": "@with_storage\ndef step(x):\n    import own as o\n    return [o.fn(i) for i in x]",
    "an import on one line with its use": "@with_storage\ndef step(x):\n    import own as o; return o.fn(x)",
    "an import of a name within": (
        "@with_storage\ndef step(x):\n    from own import fn as f\n    return (lambda: f(x))()"
    ),
    "an import with an alternative": (
        "@with_storage\ndef step(x):\n    try: from absent_one import fn\n    except ImportError: from own import fn\n"
        "    return fn(x)"
    ),
}


@pytest.mark.parametrize("script", MODULES.values(), ids=list(MODULES))
def test_what_is_used_of_own_modules_counts_and_the_rest_does_not(project, script):
    text = "import threading\nLOCK = threading.Lock()\nK = {}\nUNUSED = {}\ndef fn(x): return x + K\n"
    one, same, other = (project(script, {"own.py": text.format(*each)}) for each in ((1, 1), (1, 2), (2, 1)))

    assert one == same != other


@pytest.mark.parametrize("place", ["a", "b", "c"])
@pytest.mark.parametrize(
    "script",
    [
        "import ownpkg\n@with_storage\ndef step(x): return ownpkg.run(x)",
        "@with_storage\ndef step(x):\n    import ownpkg.a as z\n    return z.run(x)",
        "@with_storage\ndef step(x):\n    from ownpkg import a\n    return a.run(x)",
    ],
    ids=["at the top", "of a submodule", "from a package"],
)
def test_relative_imports_of_a_package_are_followed(project, script, place):
    def files(n):
        given = {each: n if each == place else 0 for each in "abc"}
        return {
            "ownpkg/__init__.py": "from .a import run\n",
            "ownpkg/a.py": f"from . import b\ndef run(x): return b.go(x) + {given['a']}\n",
            "ownpkg/b.py": f"def go(x):\n    from .c import K\n    return x + K + {given['b']}\n",
            "ownpkg/c.py": f"K = {given['c']}\n",
        }

    assert project(script, files(1)) == project(script, files(1)) != project(script, files(2))


def test_the_file_that_a_constant_names_counts_with_its_content(tmp_path):
    data = tmp_path / "data.json"
    script = "from pathlib import Path\nP = Path(__file__).parent / 'data.json'\n@with_storage\ndef step(x): return P"
    step = None
    versions = []
    for text in ("one", "two", "one"):
        data.write_text(text)
        step = step or loaded(script, __file__=str(tmp_path / "script.py"))["step"]
        versions.append(version_of(step))

    assert versions[0] == versions[2] != versions[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "def step(x):\n    return x + 1",
            "def step(x):\n    # why\n    return (\n        x\n        + 1  # what\n    )",
        ),
        ("def step(x):\n    'One.'\n    return x", "def step(x):\n    'Other.'\n    return x"),
        ("def step(x):\n    return x", "def step(x):\n    'With a docstring.'\n    return x"),
    ],
    ids=["comments and line breaks", "docstrings", "no docstring"],
)
def test_what_a_reader_alone_sees_does_not_count(one, other):
    assert version(f"@with_storage\n{one}") == version(f"@with_storage\n{other}")


def test_the_folder_of_a_project_does_not_count():
    script = "from pathlib import Path\nHERE = Path(__file__).parent\n@with_storage\ndef step(x): return HERE, __file__"

    assert version(script, __file__="/home/a/p.py") == version(script, __file__="/srv/other/p.py")


@pytest.mark.parametrize(
    "change", ["calls.append(x)", "seen[x] = 1", "counts['n'] += 1", "n += 1", "calls.extend([x]); seen.update(a=x)"]
)
def test_what_a_step_only_adds_to_does_not_count(change):
    text = (
        f"calls, seen, counts, n = [], {{}}, {{'n': 0}}, 0\n@with_storage\ndef step(x):\n    global n\n    {change}\n"
    )
    step = loaded(text)["step"]
    before = version_of(step)

    step.__wrapped__(1)

    assert version_of(step) == before


def test_a_step_that_binds_a_name_to_an_item_of_its_value_reads_that_value():
    with pytest.raises(CacheKeyError, match="'n', which is assigned while it runs"):
        version("n = [[1], 2]\n@with_storage\ndef step():\n    global n\n    n = n[0]")


def test_what_a_cached_function_has_kept_does_not_count():
    names = loaded("import functools\n" + STEP + "@functools.cache\ndef helper(x): return x")
    before = version_of(names["step"])

    names["helper"](1)

    assert version_of(names["step"]) == before


def test_names_of_installed_modules_are_not_entered():
    text = (
        "import os, random, logging\nfrom random import choice\nfrom os import environ\nlog = logging.getLogger('a')\n"
    )

    assert version(
        text + "@with_storage\ndef step(x):\n    log.info(x)\n    return os.getcwd(), choice(x), environ, random"
    )


def test_a_function_defined_anew_makes_another_version():
    names = loaded("def helper(x): return 1\n" + STEP)
    versions = [version_of(names["step"])]
    for body in ("2", "1"):
        exec(f"def helper(x): return {body}", names)
        versions.append(version_of(names["step"]))

    assert versions[0] == versions[2] != versions[1]


CHANGES = {
    "a constant": "K = 2",
    "data in place": "L.append(2)",
    "an array in place": "ARRAY[1] = 7",
    "the shape of an array": "ARRAY.resize((3, 2), refcheck=False)",
    "an attribute of a class": "A.K = 2",
    "the state of an object": "OBJ.w = 2",
    "a default": "helper.__defaults__ = (2,)",
    "code": "helper.__code__ = (lambda x, y=1: 2).__code__",
    "a name of another module": "mod.fn = len",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_change_between_two_calls_is_seen_and_so_is_its_end(change):
    module = types.ModuleType("changing")
    module.fn = sum
    names = loaded(
        """
        K, L = 1, [1]
        class A:
            K = 1
            def __init__(self):
                self.w = 1
        OBJ = A()
        def helper(x, y=1):
            return K, L, A, OBJ, ARRAY, mod.fn
        @with_storage
        def step(x):
            return helper(x)
        """,
        mod=module,
        ARRAY=np.arange(6),
    )
    contract = Contract.from_shipped(names["step"]._contract)
    kept = FunctionVersion(names["step"].__wrapped__, contract)
    before = kept.identity()
    same = kept.identity()
    exec(change, names)

    assert before == same != kept.identity()


def test_a_reloaded_module_makes_another_version(project, tmp_path):
    project("@with_storage\ndef step(x): return x", {"own.py": "def fn(x): return 1\n"})
    step = loaded("import own\n@with_storage\ndef step(x): return own.fn(x)")["step"]
    before = version_of(step)
    (tmp_path / "own.py").write_text("def fn(x): return 2\n# of another size\n")

    edited = version_of(step)
    importlib.reload(sys.modules["own"])

    # What runs counts: until it is loaded again, that is the module as it was.
    assert before == edited != version_of(step)


def test_a_module_that_can_be_imported_from_now_on_makes_another_version(project, tmp_path):
    project("@with_storage\ndef step(x): return x", {})
    step = loaded(
        MODULES["an import with an alternative"].replace("from own", "from math").replace("absent_one", "own")
    )
    kept = FunctionVersion(step["step"].__wrapped__, Contract.from_shipped(step["step"]._contract))
    before = kept.identity(), kept.identity()
    (tmp_path / "own.py").write_text("def fn(x): return 1\n")
    importlib.invalidate_caches()

    assert before[0] == before[1] != kept.identity()


def test_a_cell_of_a_notebook_counts_by_what_it_does():
    def cell(number, text):
        name = f"<ipython-input-{number}>"
        linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
        exec(compile(text, name, "exec"), names)

    names = {"__name__": "__main__"}
    cell(1, HEAD + STEP)
    versions = []
    for number, body in enumerate(("1", "2", "1"), start=2):
        cell(number, f"\n\ndef helper(x):\n    return {body}\n")
        versions.append(version_of(names["step"]))

    assert versions[0] == versions[2] != versions[1]


def test_what_has_not_changed_is_not_looked_at_again(monkeypatch):
    from lucas_storage.steps import function_version

    looked = []
    genuine = function_version.reached_code
    monkeypatch.setattr(
        function_version, "reached_code", lambda *args, **more: looked.append(0) or genuine(*args, **more)
    )
    names = loaded("import functools\nK = {'a': [1]}\nclass A: ...\ndef helper(x): return K, A, functools\n" + STEP)
    kept = FunctionVersion(names["step"].__wrapped__, Contract.from_shipped(names["step"]._contract))

    assert len({kept.identity() for _ in range(3)}) == 1
    assert looked == [0]


UNKNOWN = {
    "a lock": (
        "import threading\nK = threading.Lock()\n@with_storage\ndef step(x): return K",
        "variable 'K'; the state of",
    ),
    "a lock of a helper": (
        "import threading\nK = threading.Lock()\n" + STEP + "def helper(x): return K",
        "'helper', which the function reaches, uses the global variable 'K'",
    ),
    "a lock in an object": (
        (
            "import threading\nclass A:\n    def __init__(self): self.lock = threading.Lock()\nK = A()\n"
            "@with_storage\ndef step(x): return K"
        ),
        "variable 'K'; the state of a _thread.lock",
    ),
    "a lock of a class": (
        "import threading\nclass A:\n    lock = threading.Lock()\n@with_storage\ndef step(x): return A",
        "class 'A' has the attribute 'lock'",
    ),
    "a generator": ("K = (i for i in [])\n@with_storage\ndef step(x): return K", "variable 'K'; a generator"),
    "an open file": ("import io\nK = io.BytesIO()\n@with_storage\ndef step(x):\n    return K", "read only once"),
    "a random state": ("import random\nK = random.Random(1)\n@with_storage\ndef step(x): return K", "after each use"),
    "a name that is not bound": ("@with_storage\ndef step(x): return K", "'K', which is not bound yet"),
    "a name that is bound while it runs": (
        "K = None\ndef helper(x):\n    global K\n    if K is None: K = 1\n    return K\n" + STEP,
        "'K', which is assigned while it runs.*functools.cache",
    ),
    "text that is run": ("@with_storage\ndef step(x): exec(x)", "calls exec"),
    "a module as a value": ("@with_storage\ndef step(x): return getattr(mod, x)", "module 'dynamic' as a whole"),
    "modules by computed names": (
        "import importlib\n@with_storage\ndef step(x): return importlib.import_module(x)",
        "by names that cannot be seen",
    ),
    "what contains itself": (
        "K = []\nK.append(K)\n@with_storage\ndef step(x): return K",
        "variable 'K'; it contains itself",
    ),
}


@pytest.mark.parametrize(("text", "said"), UNKNOWN.values(), ids=list(UNKNOWN))
def test_what_cannot_be_known_is_named_with_the_way_out(text, said):
    names = loaded(text, mod=types.ModuleType("dynamic"))
    given = loaded(text.replace("@with_storage", "@with_storage(version='1')"), mod=None)

    with pytest.raises(CacheKeyError, match=rf"(?s){said}.*version=") as caught:
        version_of(names["step"])

    assert caught.value.function == "step"
    assert version_of(given["step"]) == "version:1"


def test_a_class_that_fails_when_it_is_looked_at_fails_no_step():
    class Hostile:
        def __getattribute__(self, name):
            raise RuntimeError(name)

    hostile = Hostile()

    @with_storage
    def step(x):
        return hostile

    with pytest.raises(CacheKeyError, match="version="):
        version_of(step)


def test_a_version_is_shipped_and_not_looked_at_again():
    names = loaded("K = 1\n@with_storage\ndef step(x): return K")
    here = version_of(names["step"])
    shipped = pickle.loads(cloudpickle.dumps(names["step"]))
    names["K"] = 2

    assert version_of(shipped) == here != version_of(names["step"])
    assert version_of(pickle.loads(cloudpickle.dumps(shipped))) == here


def test_a_function_whose_version_cannot_be_known_is_shipped_and_says_so_when_asked(settings):
    text = "import random\nK = random.Random(7)\n@with_storage(cache={})\ndef step(x): return x + K.choice([0])"
    shipped = [pickle.loads(cloudpickle.dumps(loaded(text.format(cache))["step"])) for cache in (False, True)]

    assert shipped[0](x=1) == 1
    with pytest.raises(CacheKeyError, match="variable 'K'"):
        shipped[1](x=1)
    assert len({step._contract["identity"][1] for step in shipped}) == 2  # an older worker takes it for a version


def test_shipping_loads_no_module_that_the_function_imports_for_itself(project):
    script = "@with_storage(cache={})\ndef step(x):\n    import own\n    return own.K"
    project("@with_storage\ndef step(x): return x", {"own.py": "K = 1\n"})
    plain = pickle.loads(cloudpickle.dumps(loaded(script.format("False"))["step"]))
    was_loaded = "own" in sys.modules
    cached = pickle.loads(cloudpickle.dumps(loaded(script.format("True"))["step"]))

    assert not was_loaded
    with pytest.raises(CacheKeyError, match="'own' is not loaded here; import it at the top"):
        version_of(plain)
    assert version_of(cached).startswith("reached:")


def steps_with(op):
    @with_storage(cache=True)
    def apply(x: int) -> float:
        return float(op(x))

    return apply


class Scaled:
    def __init__(self, weight):
        self.weight = weight

    def __call__(self, x):
        return self.weight * x

    def method(self, x):
        return self.weight + x


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda v: v * v, lambda v: v**3),
        (functools.partial(pow, 2), functools.partial(pow, 3)),
        (Scaled(10), Scaled(20)),
        (Scaled(10).method, Scaled(20).method),
        (np.sin, np.cos),
    ],
    ids=["functions", "partials", "callable objects", "methods", "functions of a package"],
)
def test_a_step_never_gets_the_result_of_a_step_with_other_variables(settings, one, other):
    got = [steps_with(op)(x=4) for op in (one, other, one)]

    assert got == [float(op(4)) for op in (one, other, one)]
    assert got[0] != got[1]


@pytest.mark.slow
def test_scripts_of_one_name_share_results_if_and_only_if_they_do_the_same(settings, tmp_path):
    script = "import os\nfrom own import fn\nfrom lucas_storage import with_storage\n@with_storage(cache=True)\n"
    script += "def f(x):\n    return [fn(x), os.getpid()]\nprint(f(x=1))\n"
    found = {}
    for number, (folder, factor) in enumerate((("a", 1), ("b", 2), ("c/deep", 1))):
        place = tmp_path / folder
        place.mkdir(parents=True)
        (place / "main.py").write_text(script)
        (place / "own.py").write_text(
            f"def fn(x):\n    return x * {factor} if x in {{'p', 'q', 1}} else {{'k', 'j'}}\n"
        )
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(number),
            "STORAGE_ENDPOINT": settings["endpoint"],
            "LUCAS_STORAGE_BUCKET": settings["bucket"],
            "LUCAS_STORAGE_CACHE": str(settings["cache_dir"]),
        }
        command = [sys.executable, str(place / "main.py")]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        found[folder] = done.stdout

    assert found["a"] == found["c/deep"] != found["b"]
