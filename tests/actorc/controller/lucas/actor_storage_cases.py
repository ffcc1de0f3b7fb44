"""Functions with storage on the actor platform, on the engine that `lucas` is; prints the results as JSON.

python actor_storage_cases.py SIZE [tables]    with IGNIS_ADDR, APP_ID, STORAGE_ENDPOINT and a key in the environment
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np

from actorc.storage import StorageClient
from lucas_storage import ArtifactRef, Storage, run, with_storage
from lucas_storage.embedded import install

warnings.simplefilter("ignore")  # genuine Lucas speaks pydantic 1
install()

import lucas  # noqa: E402  # there only now, if it is the embedded engine

from actorc.controller import ActorContext, ActorExecutor, ActorFunction  # noqa: E402
from actorc.controller.local import LocalController  # noqa: E402

context = ActorContext.createContext()


def step(fn=None, *, replicas=1, **storage):
    def register(fn):
        decorator = lucas.function(wrapper=ActorFunction, provider="actor", venv="stored", replicas=replicas)
        return decorator(with_storage(**storage)(fn))

    return register if fn is None else register(fn)


def workflow(body):
    return lucas.workflow(executor=ActorExecutor)(body)


WITH_TABLES = sys.argv[2:] == ["tables"]

if WITH_TABLES:  # pandas takes a second in each process that imports it
    import pandas as pd

    @step
    def load(raw: Path) -> pd.DataFrame:
        return pd.read_csv(raw)

    @step
    def column(table: pd.DataFrame) -> np.ndarray:
        return table["value"].to_numpy()


@step
def read(raw: Path) -> np.ndarray:
    return np.loadtxt(raw, dtype=int, skiprows=1)


@step
def written(values: np.ndarray, storage: Storage) -> Path:
    path = storage.scratch() / "sum.txt"
    path.write_text(str(values.sum()))
    return path


@step
def big(size: int) -> bytes:
    return b"x" * size


@step
def measure(data: bytes) -> int:
    return len(data)


@step
def parts(n: int) -> dict:
    return {"small": n, "array": np.arange(n), "text": "t" * n}


@step
def add(a: np.ndarray, b: float) -> np.ndarray:
    return a + b


@step
def squares(n: int) -> list:
    return [np.full(3, i) for i in range(n)]


@step
def total(values: list[np.ndarray]) -> float:
    return float(sum(value.sum() for value in values))


class Model:
    def __init__(self, weight):
        self.weight = weight


@step
def train(weight: int) -> Model:
    return Model(weight)


@step
def predict(model: Model, x: int) -> list:
    return [model.weight * x, type(model).__name__]


@step
def forbidden() -> None:
    StorageClient().put_object("private", "key", b"value")


@step(cache=True, version="1")
def drawn(seed: int, path: str) -> np.ndarray:
    with Path(path).open("a") as log:
        log.write(f"{os.getpid()}\n")
    return np.random.default_rng().normal(size=3)


@step(retries=2, backoff=0)
def flaky(n: int, path: str) -> np.ndarray:
    with Path(path).open("a") as log:
        log.write("x")
    if Path(path).stat().st_size < 3:
        raise ConnectionError("not yet")
    return np.full(n, os.getpid())


@step(timeout=60)
def apart(pids: np.ndarray) -> list:
    return [os.getpid() != int(pids[0]), os.getppid() == int(pids[0])]


@step(timeout=0.5)
def late(pids: np.ndarray) -> None:
    signal.pause()


@step
def kill() -> None:
    os.kill(os.getpid(), 9)


@workflow
def summed(wf):
    return wf.call("written", {"values": wf.call("read", {"raw": wf.input()["raw"]})})


@workflow
def pipeline(wf):
    table = wf.call("load", {"raw": wf.input()["raw"]})
    return wf.call("written", {"values": wf.call("column", {"table": table})})


@workflow
def large(wf):
    made = wf.call("big", {"size": wf.input()["size"]})
    return {"made": made, "seen": wf.call("measure", {"data": made})}


@workflow
def plain(wf):
    made = wf.call("parts", {"n": wf.input()["n"]})
    doubled = wf.func(lambda array: array * 2, made["array"])
    added = wf.call("add", {"a": doubled, "b": made["small"]}) + made["array"]
    mapped = wf.call("squares", {"n": made["small"]}).map(lambda each: wf.call("add", {"a": each, "b": 1}))
    return {
        "added": wf.func(lambda array: array.tolist(), added),
        "mapped": wf.call("total", {"values": mapped}),
        "within": wf.func(lambda whole: [type(whole["array"]).__name__, len(whole["text"])], made),
    }


@workflow
def pickled(wf):
    return wf.call("predict", {"model": wf.call("train", {"weight": wf.input()["weight"]}), "x": 2})


@workflow
def modelled(wf):
    return wf.call("train", {"weight": wf.input()["weight"]})


@workflow
def not_allowed(wf):
    wf.input()["x"]
    return wf.call("forbidden", {})


@workflow
def cached(wf):
    return wf.call("drawn", {"seed": wf.input()["seed"], "path": wf.input()["path"]})


@workflow
def attempted(wf):
    pids = wf.call("flaky", {"n": wf.input()["n"], "path": wf.input()["path"]})
    return wf.call("apart", {"pids": pids})


@workflow
def too_late(wf):
    return wf.call("late", {"pids": wf.call("flaky", {"n": wf.input()["n"], "path": wf.input()["path"]})})


def refusal(call, *arguments):
    try:
        return call(*arguments)
    except Exception as error:  # noqa: BLE001  # what it is, is under test
        return f"{type(error).__name__}, {error}"


def across_workers():
    """Return what a cached function gave to two workers, and how many of them ran it."""
    log = Path("drawn.txt").absolute()
    first = run(cached, {"seed": 1, "path": str(log)})
    refusal(kill.export())
    second = run(cached, {"seed": 1, "path": str(log)})
    return [first.tolist() == second.tolist(), len(log.read_text().splitlines())]


def without_a_store():
    """Return what workers whose store is down make of a small result and of a large one."""
    with LocalController(env={"STORAGE_ENDPOINT": "127.0.0.1:1"}) as workers:
        ActorContext.createContext(workers.address, workers.app_id)
        return [refusal(big.export(), {"size": size}) for size in (1, 1 << 20)]


def main():
    Path("raw.csv").write_text("value\n" + "\n".join(map(str, range(1000))))
    inputs = {"raw": Path("raw.csv")}
    refs = run(summed, inputs, materialize=False)
    whole = run(large, {"size": int(sys.argv[1])}, materialize=False)
    results = {
        "pipeline": run(pipeline, inputs).decode() if WITH_TABLES else None,
        "refs": [isinstance(refs, ArtifactRef), refs.load().decode()],
        "large": [isinstance(whole["made"], ArtifactRef), whole["made"].size, whole["seen"]],
        "plain": run(plain, {"n": 4}),
        "pickled": run(pickled, {"weight": 21}),
        "not allowed": refusal(run, not_allowed, {"x": 1}),
        "unsigned here": refusal(run, modelled, {"weight": 21}),
        "across workers": across_workers(),
        "attempted": run(attempted, {"n": 100_000, "path": str(Path("flaky.txt").absolute())}),
        "too late": refusal(run, too_late, {"n": 100_000, "path": str(Path("flaky.txt").absolute())}),
        "without a store": without_a_store(),
    }
    print(json.dumps({"embedded": lucas.__name__ != "lucas", "results": results}))


if __name__ == "__main__":
    main()
