"""A directory as an artifact: a search index of which later steps fetch the one file they need.

The texts are Python's own language reference, as the interpreter carries it for ``help()``.

lucas-storage run examples/directory_artifact.py
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from pydoc_data.topics import topics

from lucas import Workflow, function, workflow

from lucas_storage import ArtifactRef, Storage, run, with_storage


@function
@with_storage
def build_index(corpus: Path, storage: Storage) -> Path:  # a directory in, a directory out
    words: dict[str, dict[str, Counter]] = defaultdict(lambda: defaultdict(Counter))
    texts = sorted(corpus.rglob("*.txt"))
    for text in texts:
        for word in re.findall(r"[a-z]{3,}", text.read_text().lower()):
            words[word[0]][word][text.stem] += 1
    index = storage.scratch() / "index"
    (index / "letters").mkdir(parents=True)
    for letter, found in words.items():
        (index / "letters" / f"{letter}.json").write_text(json.dumps(found))
    meta = {"texts": len(texts), "words": sum(map(len, words.values()))}
    (index / "meta.json").write_text(json.dumps(meta))
    return index


@function
@with_storage
def search(index: ArtifactRef, word: str, storage: Storage) -> dict:
    meta = json.loads(storage.path(index, only="meta.json").read_text())
    letter = json.loads(storage.path(index, only=f"letters/{word[0]}.json").read_text())  # one file, not the tree
    return {**meta, "best": Counter(letter.get(word, {})).most_common(3)}


@workflow
def library(wf: Workflow):
    index = wf.call("build_index", {"corpus": wf.input()["corpus"]})
    return wf.call("search", {"index": index, "word": wf.input()["word"]})


with tempfile.TemporaryDirectory() as folder:
    for name, text in topics.items():
        Path(folder, f"{name}.txt").write_text(text)
    found = run(library, {"corpus": Path(folder), "word": "generator"})
print(f"{found['words']} words of {found['texts']} texts; 'generator' is in")
for name, count in found["best"]:
    print(f"  {name:<12} {count} times")
