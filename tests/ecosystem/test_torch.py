"""Torch reads ``lucas://`` in the workers of a DataLoader, where it is installed."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.ecosystem


class Samples:
    """A data set of arrays, each an object; the file system is made before the workers are."""

    def __init__(self, fs, names):
        self.fs = fs
        self.names = names

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        import numpy as np
        import torch

        with self.fs.open(self.names[index]) as file:
            return torch.from_numpy(np.load(file))


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_the_workers_of_a_data_loader(fs, start):
    torch = pytest.importorskip("torch", reason="a wheel of torch brings gigabytes, and is not installed")
    import numpy as np

    names = [f"data/samples/{number:03}.npy" for number in range(40)]
    for number, name in enumerate(names):
        with fs.open(name, "wb") as file:
            np.save(file, np.full(100, number))

    loader = torch.utils.data.DataLoader(
        Samples(fs, names), batch_size=4, num_workers=2, multiprocessing_context=start, persistent_workers=True
    )
    for _ in range(2):
        assert [int(row[0]) for batch in loader for row in batch] == list(range(40))
    batch = torch.stack([row for batch in loader for row in batch])
    with fs.open("data/model.pt", "wb") as file:
        torch.save({"weights": batch}, file)
    with fs.open("data/model.pt") as file:
        assert torch.load(file, weights_only=True)["weights"].equal(batch)
