"""A directory of pictures in, a contact sheet out: one step per picture, and only references on the way.

lucas-storage run examples/contact_sheet.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from lucas import Workflow, function, workflow
from matplotlib import image

from lucas_storage import Storage, run, with_storage

COUNT, SIZE, STEP = 24, 320, 4


@function
@with_storage
def split(album: Path) -> list[Path]:  # as many references, which cost nothing: the pictures are in storage already
    return sorted(album.glob("*.png"))


@function
@with_storage
def thumb(picture: Path) -> np.ndarray:
    pixels = image.imread(picture)[..., :3]
    return pixels.reshape(SIZE // STEP, STEP, SIZE // STEP, STEP, 3).mean(axis=(1, 3))


@function
@with_storage
def sheet(thumbs: list[np.ndarray], columns: int, storage: Storage) -> Path:
    rows = [np.concatenate(thumbs[at : at + columns], axis=1) for at in range(0, len(thumbs), columns)]
    made = storage.scratch() / "contact-sheet.png"
    image.imsave(made, np.concatenate(rows))
    return made


@workflow
def gallery(wf: Workflow):
    pictures = wf.call("split", {"album": wf.input()["album"]})
    thumbs = pictures.map(lambda picture: wf.call("thumb", {"picture": picture}))
    return wf.call("sheet", {"thumbs": thumbs, "columns": 6})


output = Path(__file__).parent / "output" / "contact-sheet.png"
output.parent.mkdir(exist_ok=True)
x, y = np.meshgrid(np.linspace(-1, 1, SIZE), np.linspace(-1, 1, SIZE))
with tempfile.TemporaryDirectory() as folder:
    for number in range(COUNT):  # petals, one more in each picture
        petals = np.cos((number + 1) * np.arctan2(y, x)) * np.exp(-3 * (x * x + y * y))
        image.imsave(Path(folder, f"{number:02}.png"), petals, cmap="twilight")
    output.write_bytes(run(gallery, {"album": Path(folder)}))
print(f"{COUNT} pictures became {output.name}, {image.imread(output).shape[:2]} pixels")
