"""A workflow on a running cluster of genuine Lucas; prints its results as JSON.

python cluster_cases.py MASTER MEBIBYTES
"""

from __future__ import annotations

import json
import os
import sys

os.environ["provider"] = "cluster"  # noqa: SIM112  # that is how Lucas spells it

from lucas import function, workflow
from lucas.cluster.client import ClusterExecutor, Context

from lucas_storage import run, with_storage

context = Context.create_context(sys.argv[1])


@function
@with_storage
def cut(data: bytes, at: int) -> dict:
    return {"pid": os.getpid(), "head": data[:at]}


@function
@with_storage
def size(part: dict) -> dict:
    return {"elsewhere": part["pid"], "size": len(part["head"])}


@workflow(executor=ClusterExecutor, provider="cluster")
def sizes(wf):
    given = wf.input()
    return wf.call("size", {"part": wf.call("cut", {"data": given["data"], "at": given["at"]})})


data = bytes(int(sys.argv[2]) << 20)
results = [run(sizes, {"data": data, "at": at}) for at in (10, 70_000_000)]
print(json.dumps({"sizes": [one["size"] for one in results], "elsewhere": results[0]["elsewhere"] != os.getpid()}))
sys.stdout.flush()
os._exit(0)  # the session's threads end with the cluster only
