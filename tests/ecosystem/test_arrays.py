"""Libraries of arrays read and write ``lucas://``."""

from __future__ import annotations

import pickle

import pytest

pytestmark = [
    pytest.mark.ecosystem,
    pytest.mark.filterwarnings("default"),  # those of other libraries about each other
]


@pytest.fixture
def grid():
    numpy, xarray = pytest.importorskip("numpy"), pytest.importorskip("xarray")
    values = numpy.random.default_rng(7).random((100, 50))
    axes = {"time": numpy.arange(100), "x": numpy.arange(50.0)}
    return xarray.Dataset({"rain": (("time", "x"), values)}, axes, {"source": "a test"})


def test_xarray_with_zarr(fs, grid):
    import xarray as xr

    url = "lucas://data/grid.zarr"
    grid.chunk({"time": 25}).to_zarr(url, mode="w", consolidated=False)
    later = grid.assign_coords(time=grid.time + 100)
    later.to_zarr(url, append_dim="time", consolidated=False)

    stored = xr.open_zarr(url, consolidated=False)
    assert stored.equals(xr.concat([grid, later], "time"))
    assert stored.attrs == grid.attrs
    assert stored.rain.sel(time=slice(120, 130)).equals(later.rain.sel(time=slice(120, 130)))
    grid.to_zarr(url, mode="w", consolidated=False)
    assert xr.open_zarr(url, consolidated=False).sizes == grid.sizes


def test_zarr(fs):
    import numpy as np
    import zarr

    array = zarr.create_array("lucas://data/array.zarr", shape=(100, 100), chunks=(10, 10), dtype="f4")
    array[:50, :] = 1.5

    again = zarr.open("lucas://data/array.zarr", mode="r")
    assert again[40:60, 5].tolist() == [1.5] * 10 + [0.0] * 10
    assert np.asarray(again).sum() == 50 * 100 * 1.5
    group = zarr.open_group("lucas://data/group.zarr", mode="w")
    group.create_array("inner", shape=(10,), dtype="i8")
    assert list(zarr.open_group("lucas://data/group.zarr", mode="r")) == ["inner"]
    with pytest.raises(FileNotFoundError):
        zarr.open("lucas://data/none.zarr", mode="r")


def test_xarray_with_netcdf(fs, grid):
    import xarray as xr

    with fs.open("data/grid.nc", "w+b") as file:
        grid.to_netcdf(file, engine="h5netcdf")

    with fs.open("data/grid.nc") as file, xr.open_dataset(file, engine="h5netcdf") as stored:
        assert stored.equals(grid)
        # as it is sent to the workers of a cluster
        assert pickle.loads(pickle.dumps(stored)).rain[3, 4] == grid.rain[3, 4]


def test_h5py(fs):
    import h5py
    import numpy as np

    values = np.arange(1_000_000).reshape(1000, 1000)
    with fs.open("data/file.h5", "wb") as file, h5py.File(file, "w") as written:
        written["a"] = values
        written.create_dataset("b/c", data=values, chunks=(100, 100), compression="gzip")

    with fs.open("data/file.h5") as file, h5py.File(file) as stored:
        assert list(stored) == ["a", "b"]
        assert (stored["a"][500, 10:20] == values[500, 10:20]).all()
        assert (stored["b/c"][250:260, 5] == values[250:260, 5]).all()


def test_numpy(fs):
    import numpy as np

    values = np.arange(1000.0).reshape(10, 100)
    for name, write, read in (
        ("data/a.npy", np.save, np.load),
        ("data/a.npz", np.savez, lambda file: np.load(file)["arr_0"]),
        ("data/a.txt", np.savetxt, np.loadtxt),
    ):
        with fs.open(name, "wb") as file:
            write(file, values)
        with fs.open(name) as file:
            assert (read(file) == values).all(), name


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "webp", "gif", "pdf"])
def test_pillow(fs, kind):
    from PIL import Image

    image = Image.radial_gradient("L").convert("RGB")
    with fs.open(f"data/image.{kind}", "wb") as file:
        image.save(file, kind)

    assert fs.size(f"data/image.{kind}") > 0
    if kind != "pdf":  # which Pillow only writes
        with fs.open(f"data/image.{kind}") as file, Image.open(file) as stored:
            stored.load()
            assert (stored.size, stored.format) == (image.size, kind.upper())
