"""What was computed once is never computed again: the same text gives the same vector, in every run and process.

lucas-storage run examples/embedding_cache.py
"""

from __future__ import annotations

import zlib

import numpy as np
from lucas import Workflow, function, workflow

from lucas_storage import run, with_storage

TEXTS = [
    "references travel instead of bytes",
    "bytes travel instead of references",
    "a step that returns an array",
    "the array is stored under its digest",
    "a directory is stored file by file",
    "rain in Seattle falls in winter",
    "summers in Seattle are dry",
]
computed = []


@function
@with_storage(cache=True, version="trigrams/1")  # another version is another model, and computes anew
def embed(text: str) -> np.ndarray:
    computed.append(text)
    vector = np.zeros(4096)
    for at in range(len(text) - 2):
        vector[zlib.crc32(text[at : at + 3].encode()) % len(vector)] += 1
    return vector / np.linalg.norm(vector)


@function
@with_storage
def nearest(vectors: list[np.ndarray], query: np.ndarray) -> list[int]:
    return np.argsort(-(np.stack(vectors) @ query), kind="stable").tolist()


@workflow
def search(wf: Workflow):
    vectors = wf.input()["texts"].map(lambda text: wf.call("embed", {"text": text}))
    return wf.call("nearest", {"vectors": vectors, "query": wf.call("embed", {"text": wf.input()["query"]})})


for query in ("returning arrays from steps", "how much rain falls in winter?"):
    computed.clear()
    found = run(search, {"texts": TEXTS, "query": query})
    print(f"{query!r} is nearest to {TEXTS[found[0]]!r}")
    print(f"  {len(TEXTS) + 1} vectors, {len(computed)} of them computed")
