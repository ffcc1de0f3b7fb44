"""Objects as the files of libraries that seek while they write, and read here and there."""

from __future__ import annotations

import numpy as np
import pytest

from actorc.storage.testing import local_server

pytestmark = pytest.mark.ecosystem
NUMBERS = np.arange(2_000_000.0)


@pytest.fixture(params=[True, False], ids=["unix", "tcp"])
def client(request):
    with local_server() as server, server.client(local=request.param) as it:
        yield it


@pytest.mark.parametrize("mode", ["wb", "w+b"])
def test_hdf5_is_written_and_read(client, mode):
    h5py = pytest.importorskip("h5py")
    with client.open_object("files", "a.h5", mode) as file, h5py.File(file, "w") as made:
        made["numbers"] = NUMBERS
        for number in range(20):
            made.create_group(f"group{number}")["few"] = NUMBERS[:number]
    with client.open_object("files", "a.h5") as file, h5py.File(file) as opened:
        names = []
        opened.visit(names.append)
        np.testing.assert_array_equal(opened["numbers"][-1000:], NUMBERS[-1000:])
        np.testing.assert_array_equal(opened["group7/few"][:], NUMBERS[:7])

    assert len(names) == 41


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_tiff_is_written_and_read_by_its_own_package(client, options):
    tifffile = pytest.importorskip("tifffile")
    pages = np.random.default_rng(1).integers(0, 1000, (20, 500, 500)).astype("u2")
    with client.open_object("files", "a.tif", "wb") as file:
        tifffile.imwrite(file, pages, **options)
    with client.open_object("files", "a.tif") as file:
        np.testing.assert_array_equal(tifffile.imread(file), pages)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "WEBP"])
def test_images_are_written_and_read(client, kind):
    images = pytest.importorskip("PIL.Image")
    image = images.fromarray(np.random.default_rng(1).integers(0, 255, (300, 200, 3)).astype("u1"))
    with client.open_object("files", "image", "wb") as file:
        image.save(file, kind)
    with client.open_object("files", "image") as file, images.open(file) as opened:
        assert (opened.size, opened.format) == (image.size, kind)
        assert opened.convert("RGB").tobytes() == image.tobytes() or kind in {"JPEG", "GIF", "WEBP"}


def test_a_tiff_of_several_pages_is_written_by_a_program_that_reads_it_meanwhile(client):
    images = pytest.importorskip("PIL.Image")
    pages = [images.new("L", (100, 50), shade) for shade in (1, 2, 3)]
    with client.open_object("files", "pages.tif", "w+b") as file:
        pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    with client.open_object("files", "pages.tif") as file, images.open(file) as opened:
        assert opened.n_frames == 3
