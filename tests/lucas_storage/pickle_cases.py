"""What drivers and workers of different versions pickle for each other; run as a program, by any version.

python pickle_cases.py keep DIRECTORY    make DIRECTORY/pickles.json and DIRECTORY/store.tar.xz
python pickle_cases.py use FILE          load and use what FILE has; print what came of it, and the modules of ours that
                                         pickles made now name, by kind

The last one takes the server from STORAGE_ENDPOINT.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import pickle
import pickletools
import pkgutil
import sys
import tarfile
import tempfile
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import cloudpickle

from lucas_storage import embedded

warnings.simplefilter("ignore")  # genuine Lucas speaks pydantic 1
embedded.install()

import lucas  # noqa: E402  # there only now

import actorc.controller  # noqa: E402
import lucas_storage  # noqa: E402
from actorc.controller.local import LocalController  # noqa: E402
from actorc.storage import RetryPolicy, StorageClient  # noqa: E402
from actorc.storage.aio import AsyncStorageClient  # noqa: E402
from actorc.storage.testing import local_server  # noqa: E402
from lucas_storage import Out, Storage, with_storage  # noqa: E402

SIGNING_KEY = "a signing key for tests alone"
ENDPOINT = "localhost:9"
PACKAGES = ("actorc", "lucas_storage", "lucas")
PUBLIC = ("lucas_storage", "actorc.storage", "actorc.storage.server", "actorc.controller")
ERRORS = ("lucas_storage.errors", "actorc.storage.errors", "actorc.controller.errors")
OPTIONS = {
    "none": {},
    "store": {"store": "default"},
    "inline_max": {"inline_max": 0},
    "pickle": {"pickle": True},
    "cache": {"cache": True},
    "cache for a time": {"cache": timedelta(days=36500)},
    "version": {"version": "2"},
    "all": {"store": "default", "inline_max": 1, "pickle": False, "cache": True, "version": "2"},
}


def twice(x: list, n: int = 2, retry: RetryPolicy | None = None) -> Annotated[list, Out("json", name="twice.json")]:
    return x * n


def stamped(x):
    return [*x, os.getpid()]


@with_storage
def inner(x):
    return [*x, 0]


@with_storage
def outer(x, storage):
    return inner(x=x)


def shims():
    options = {name: with_storage(**given)(twice) for name, given in OPTIONS.items() if given}
    return {"none": with_storage(twice), **options, "nested": outer, "kept": with_storage(cache=True)(stamped)}


YOUNGER = {
    f"lucas_storage.{each}"
    for each in (
        "last_run",
        "load_ipython_extension",
        "local",
        "runs",
        "testing",
        "unload_ipython_extension",
        "uses",
        "why",
    )
}
"""Public names that the version before lacks, wherever they are."""


def public():
    """Return what users name, which pickles hold by name."""
    modules = {name: importlib.import_module(name) for name in PUBLIC}
    named = {f"{name}.{each}": getattr(module, each) for name, module in modules.items() for each in module.__all__}
    return {name: each for name, each in named.items() if name not in YOUNGER}


def engine():
    """Return the classes of the embedded engine, of which objects are made."""
    found = pkgutil.walk_packages(embedded.__path__, f"{embedded.__name__}.")
    modules = [importlib.import_module(each.name) for each in found if "importable" not in each.name]
    classes = [(module, cls) for module in modules for cls in vars(module).values() if isinstance(cls, type)]
    return {
        f"{module.__name__}.{cls.__name__}": cls
        for module, cls in classes
        if cls.__module__ == module.__name__ and not getattr(cls, "_is_protocol", False)  # which nothing is made of
    }


def errors():
    modules = [importlib.import_module(name) for name in ERRORS]
    values = [(module, value) for module in modules for value in vars(module).values() if isinstance(value, type)]
    return {
        f"{module.__name__}.{cls.__name__}": error_of(cls)
        for module, cls in values
        if cls.__module__ == module.__name__ and issubclass(cls, Exception) and not cls.__name__.startswith("_")
    }


def error_of(cls):
    for fields in ({"bucket": "b", "key": "k"}, {"function": "f"}):
        try:
            return cls("a message", **fields)
        except TypeError:
            continue
    return cls("a message")


def platform():
    given = {"wrapper": actorc.controller.ActorFunction, "provider": "actor"}

    @lucas.function(**given)
    def doubled(x):
        return 2 * x

    @lucas.function(**given)
    @with_storage
    def counted(x: list):
        return len(x)

    @lucas.actor(wrapper=actorc.controller.ActorRuntimeClass, provider="actor")
    class Counter:
        def add(self, n):
            return n

    call = doubled.export()
    return {"doubled": doubled, "counted": counted, "uses doubled": lambda x: call({"x": x}), "class": Counter}


def subclasses():
    ours = actorc.controller
    bases = (ours.ActorFunction, ours.ActorExecutor, ours.ActorRuntime, lucas_storage.StorageExecutor, Storage, Out)
    return {base.__name__: type("Own", (base,), {"__module__": "__main__"}) for base in bases}


def values():
    return {"out": Out("parquet", name="features"), "retry": RetryPolicy()}


def clients():
    return {
        "client": StorageClient(ENDPOINT),
        "client that retries": StorageClient(ENDPOINT, retry=RetryPolicy(attempts=2)),
        "async client": AsyncStorageClient(ENDPOINT),
    }


def artifacts():
    storage = Storage()
    stored = storage.put(list(range(2000)))
    storage.publish(stored, "numbers", alias="latest")
    pickled = storage.put({1: {2}}, format="pickle5@1")
    return {"stored": stored, "pickled": pickled, "inline": with_storage(twice)(x=[1]), "handle": storage}


def answers():
    client = StorageClient()
    client.create_bucket("kept", exist_ok=True)
    return {
        "put": client.put_object("kept", "object", b"content"),
        "list": client.list_objects("kept"),
        "upload": client.create_multipart_upload("kept", "never finished"),
        "deleted": client.delete_objects("kept", ["nothing"]),
    }


KINDS = {
    each.__name__: each
    for each in (values, clients, errors, public, engine, artifacts, answers, shims, platform, subclasses)
}
BY_VALUE = ("shims", "platform", "subclasses")
"""Kinds whose pickles hold code, which one minor version of Python runs."""


def names_in(pickled):
    """Return the modules of ours that a pickle names, and those that pickles within it do."""
    found, texts, memo, previous = set(), [], [], ""
    for operation, argument, _ in pickletools.genops(pickled):
        if operation.name == "MEMOIZE":
            memo.append(texts[-1] if "UNICODE" in previous else None)
        elif "GET" in operation.name:
            texts.append(memo[argument])
        elif "UNICODE" in operation.name:
            texts.append(argument)
        elif operation.name == "STACK_GLOBAL":
            found.add(texts[-2])
        elif "BYTES" in operation.name and argument[:2] in (b"\x80\x04", b"\x80\x05"):
            found |= names_in(argument)
        previous = operation.name
    return {name for name in found if name and name.partition(".")[0] in PACKAGES}


def keep(folder):
    """Write pickles of everything, and the data directory of the server with which it was made."""
    with tempfile.TemporaryDirectory() as data:
        with local_server(f"file://{data}") as server:
            os.environ.update(STORAGE_ENDPOINT=server.endpoint, LUCAS_STORAGE_SIGNING_KEY=SIGNING_KEY)
            pickles = {kind: base64.b64encode(cloudpickle.dumps(made())).decode() for kind, made in KINDS.items()}
            told = {"python": list(sys.version_info[:2]), "kept": content(shims()["kept"](x=[1]))}
            step = lucas.function(name="step")(with_storage(lambda x: [x]))
            lucas_storage.run(lucas.workflow(lambda wf: wf.call("step", {"x": wf.input()["x"]})), {"x": 1})
            del step
        (folder / "pickles.json").write_text(json.dumps({**told, "pickles": pickles}, indent=1) + "\n")
        with tarfile.open(folder / "store.tar.xz", "w:xz") as archive:
            archive.add(data, "store")


def content(answer):
    """Return what a function answered, its value in place of a reference."""
    return Storage().get(answer) if isinstance(answer, dict) else answer


def use(file):
    """Return what came of what a file has."""
    given = json.loads(file.read_text())
    readable = [kind for kind in KINDS if kind not in BY_VALUE or given["python"] == list(sys.version_info[:2])]
    loaded = {kind: pickle.loads(base64.b64decode(given["pickles"][kind])) for kind in readable}
    return {kind: globals()[f"use_{kind}"](things) for kind, things in loaded.items()}


def use_values(things):
    return {name: value == values()[name] for name, value in things.items()}


def use_clients(things):
    return {name: [type(client).__name__, client.endpoint] for name, client in things.items()}


def use_errors(things):
    now = errors()
    return [
        name
        for name, error in things.items()
        if (type(error), error.args, vars(error)) != (type(now[name]), now[name].args, vars(now[name]))
    ]


def use_public(things):
    now = public()
    return [name for name, thing in things.items() if thing is not now[name]]


def use_engine(things):
    now = engine()
    return [name for name, thing in things.items() if thing is not now[name]]


def use_artifacts(things):
    read = {name: Storage().get(things[name]) for name in ("stored", "pickled", "inline")}
    handle = things["handle"]
    return {
        "stored": read["stored"] == list(range(2000)),
        "pickled": read["pickled"] == {1: {2}},
        "inline": read["inline"],
        "handle": handle.get(handle.lookup("numbers@latest")) == read["stored"],
    }


def use_answers(things):
    client = StorageClient()
    uploads = client.list_multipart_uploads("kept")["uploads"]
    return {
        "content": client.get_object("kept", "object", if_match=things["put"]["etag"]).decode(),
        "listed": [each["key"] for each in things["list"]["objects"]],
        "upload": things["upload"]["upload_id"] in [each["upload_id"] for each in uploads],
    }


def use_shims(things):
    return {name: content(shim(x=[1])) for name, shim in things.items()}


def use_platform(things):
    with LocalController() as controller:
        os.environ.update(IGNIS_ADDR=controller.address, APP_ID=controller.app_id)
        counted = things["counted"].export()({"x": [1, 2, 3]})
        return {"counted": counted, "doubled": things["uses doubled"](4), "class": type(things["class"]).__name__}


def use_subclasses(things):
    return {name: [base.__module__ for base in cls.__mro__ if base.__name__ == name] for name, cls in things.items()}


if __name__ == "__main__":
    if sys.argv[1] == "keep":
        keep(Path(sys.argv[2]))
    else:
        used = use(Path(sys.argv[2]))
        names = {kind: sorted(names_in(cloudpickle.dumps(made()))) for kind, made in KINDS.items()}
        print(json.dumps({"used": used, "names": names}))
