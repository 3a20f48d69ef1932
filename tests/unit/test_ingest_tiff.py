"""Images from strangers: only a sound GeoTIFF is opened, and nothing but it is looked at."""

from __future__ import annotations

import os
import struct
import warnings

import numpy as np
import pytest
import rasterio
from deliveries import write_tiff
from listening import listener

from stsfusion.ingest.files import digest, local_file, read_bytes
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.raster import open_raster
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.tiff import examine

COUNTS = np.random.default_rng(0).integers(1, 4095, (3, 40, 50)).astype(np.uint16)
PROFILES = {
    "plain": {},
    "by pixel": {"interleave": "pixel"},
    "deflate": {"compress": "deflate", "predictor": 2},
    "LZW": {"compress": "lzw"},
    "zstd": {"compress": "zstd"},
    "tiled": {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"},
    "big": {"BIGTIFF": "YES"},
    "other end first": {"ENDIANNESS": "BIG"},
}


@pytest.mark.parametrize("name", PROFILES)
def test_sound_images_are_read_whole(tmp_path, name):
    path = tmp_path / "a.tif"
    write_tiff(path, COUNTS, **PROFILES[name])
    with open_raster(path, sha256=digest(path)) as raster:
        assert raster.shape == COUNTS.shape
        assert not raster.placed()
        assert np.array_equal(raster.read(), COUNTS)
        assert np.array_equal(raster.read((3, 9), (1, 40), (2, 0)), COUNTS[[2, 0], 3:9, 1:40])


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint32", "float32", "float64"])
def test_kinds_of_numbers(tmp_path, kind):
    write_tiff(tmp_path / "a.tif", COUNTS.astype(kind))
    with open_raster(tmp_path / "a.tif") as raster:
        assert np.array_equal(raster.read(), COUNTS.astype(kind))


def test_overviews_and_masks_are_looked_at_too(tmp_path):
    path = tmp_path / "a.tif"
    place = rasterio.Affine(10, 0, 0, 0, -10, 0)
    write_tiff(path, np.tile(COUNTS, (1, 8, 8)), tiled=True, compress="deflate", transform=place)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4])
    assert examine(path).width == 400
    with pytest.raises(DeliveryError, match="at most 2 images"):
        examine(path, Limits(directories=2))


def crafted(
    width=16, height=16, bands=1, packing=1, data=b"x" * 512, offsets=None, counts=None, rows=None, **more
):
    """A TIFF of one directory, as little of it sound as is asked for."""
    blocks = more.pop("blocks", 1)
    offsets = offsets if offsets is not None else [8] * blocks
    counts = counts if counts is not None else [len(data)] * blocks
    at = 8 + len(data)
    lists = struct.pack(f"<{2 * len(offsets)}I", *offsets, *counts)
    where, lengths = (at, at + 4 * len(offsets)) if len(offsets) > 1 else (offsets[0], counts[0])
    fields = {
        256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 16), 259: (3, 1, packing), 262: (3, 1, 1),
        273: (4, len(offsets), where), 277: (3, 1, bands), 278: (4, 1, rows or height),
        279: (4, len(counts), lengths), **more.pop("fields", {}),
    }  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, *value) for tag, value in sorted(fields.items()))
    directory = struct.pack("<H", len(fields)) + entries + struct.pack("<I", more.pop("then", 0))
    return b"II*\0" + struct.pack("<I", at + len(lists)) + data + lists + directory


BAD = {
    "8 TB declared": crafted(2**20 - 1, 2**20 - 1, 4),
    "more than the file holds": crafted(1000, 1000),
    "a bomb": crafted(10_000, 10_000, packing=8, data=b"x" * 4096),
    "no block there": crafted(offsets=[0], counts=[0]),
    "block beyond the end": crafted(offsets=[10_000]),
    "blocks in one place": crafted(32, 32, 1, 8, b"x" * 64, [8, 8], [64, 64], rows=16, blocks=2),
    "too few blocks": crafted(32, 32, rows=16),
    "a billion blocks": crafted(32, 32, fields={273: (4, 2**30, 8), 279: (4, 2**30, 8)}),
    "no width": crafted(width=0),
    "circle of directories": crafted(then=8 + 512),
    "directory beyond the end": crafted(then=99_999),
    "JPEG inside": crafted(packing=7),
    "image inside an image": crafted(fields={330: (4, 1, 8)}),
    "12 bits": crafted(fields={258: (3, 1, 12)}),
    "complex numbers": crafted(fields={258: (3, 1, 64), 339: (3, 1, 6)}),
    "unknown kind of field": crafted(fields={65000: (99, 1, 1)}),
    "field beyond the end": crafted(fields={65000: (2, 5000, 8)}),
    "VRT in its clothes": b"<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>",
    "HDF": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "empty": b"",
    "header only": b"II*\0",
    "no directory": b"II*\0\0\0\0\0",
}  # fmt: skip


def test_the_craft_can_make_a_sound_image(tmp_path):
    (tmp_path / "a.tif").write_bytes(crafted())
    with open_raster(tmp_path / "a.tif") as raster:
        assert raster.read().shape == (1, 16, 16)


@pytest.mark.parametrize("name", BAD)
def test_unsound_images_are_refused_before_they_are_opened(tmp_path, name, monkeypatch):
    path = tmp_path / "strip-1.tiff"
    path.write_bytes(BAD[name])
    monkeypatch.setattr(rasterio, "open", lambda *a, **k: pytest.fail("GDAL was asked"))
    with pytest.raises(DeliveryError, match=r"strip-1\.tiff") as refusal, open_raster(path):
        pass
    assert refusal.value.got


@pytest.mark.parametrize("share", [0.999, 0.9, 0.5, 0.1, 0.02])
@pytest.mark.parametrize("name", ["plain", "deflate", "big"])
def test_cut_images_are_refused(tmp_path, name, share):
    path = tmp_path / "a.tif"
    write_tiff(path, COUNTS, **PROFILES[name])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DeliveryError, match=r"a\.tif"), open_raster(path):
        pass


def test_a_sparse_image_is_refused_though_gdal_reads_it(tmp_path):
    path = tmp_path / "a.tif"
    size = {"width": 64, "height": 64, "count": 1, "dtype": "uint16"}
    place = rasterio.Affine(10, 0, 0, 0, -10, 0)
    with rasterio.open(path, "w", driver="GTiff", **size, SPARSE_OK=True, transform=place):
        pass
    with rasterio.open(path) as file:
        assert not file.read().any()
    with pytest.raises(DeliveryError, match="every block"), open_raster(path):
        pass


def test_one_turned_bit_is_found_by_the_recorded_sum(tmp_path):
    path = tmp_path / "a.tif"
    write_tiff(path, COUNTS)
    recorded, data = digest(path), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with open_raster(path) as raster:
        raster.read()
    with pytest.raises(DeliveryError, match="as recorded"), open_raster(path, sha256=recorded):
        pass


def test_side_files_are_not_followed(tmp_path):
    """What lies beside an image cannot change what is read: an .aux.xml, an .ovr, a world file."""
    path = tmp_path / "a.tif"
    write_tiff(path, COUNTS)
    (tmp_path / "a.tfw").write_text("10\n0\n0\n-10\n400000\n4000000\n")
    (tmp_path / "a.tif.aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:32650</SRS><GeoTransform>0,10,0,0,0,-10</GeoTransform></PAMDataset>"
    )
    (tmp_path / "a.tif.ovr").write_text("<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>")
    with open_raster(path) as raster:
        assert not raster.placed()
        assert raster.dataset.overviews(1) == []


def vrt(port, kind):
    inner = {
        "address": f"/vsicurl/http://127.0.0.1:{port}/a.tif",
        "file": "/etc/hostname",
    }[kind]
    source = f"<SimpleSource><SourceFilename relativeToVRT='0'>{inner}</SourceFilename></SimpleSource>"
    band = f"<VRTRasterBand dataType='Byte' band='1'>{source}</VRTRasterBand>"
    return f"<VRTDataset rasterXSize='9' rasterYSize='9'>{band}</VRTDataset>"


def knocked(opener, name):
    """Connections that an opener makes for a name, '@' in it being a port that listens."""
    with listener() as (port, knocks):
        try:
            opener(str(name).replace("@", str(port)), port)
        except (DeliveryError, rasterio.errors.RasterioIOError) as error:
            refused = isinstance(error, DeliveryError)
        else:
            refused = False
        return refused, knocks()


ADDRESSES = [
    "http://127.0.0.1:@/a.tif", "https://127.0.0.1:@/a.tif", "/vsicurl/http://127.0.0.1:@/a.tif",
    "/vsizip//vsicurl/http://127.0.0.1:@/a.zip/a.tif", "/vsis3/bucket/a.tif", "file:///etc/hostname",
    "GTIFF_DIR:1:/etc/hostname", "<VRTDataset/>", "s3://bucket/a.tif", "\\\\server\\share\\a.tif", "a\0.tif",
    "/dev/zero", "/proc/self/mem/x", "VRT:///vsicurl/http://127.0.0.1:@/a.tif",
]  # fmt: skip


@pytest.mark.parametrize("name", ADDRESSES)
def test_addresses_are_refused_without_a_connection(name):
    def opener(text, port):
        with open_raster(text):
            pass

    assert knocked(opener, name) == (True, 0)


@pytest.mark.parametrize("kind", ["address", "file"])
def test_an_image_that_points_elsewhere_is_refused_without_a_connection(tmp_path, kind):
    def opener(path, port):
        (tmp_path / "a.tiff").write_text(vrt(port, kind))
        with open_raster(path) as raster:
            raster.read()

    assert knocked(opener, tmp_path / "a.tiff") == (True, 0)


def test_gdal_alone_would_knock(tmp_path):
    def opener(path, port):
        (tmp_path / "a.tiff").write_text(vrt(port, "address"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.Env(GDAL_HTTP_TIMEOUT=1, GDAL_HTTP_CONNECTTIMEOUT=1), rasterio.open(path) as file:
                file.read()

    refused, knocks = knocked(opener, tmp_path / "a.tiff")
    assert not refused
    assert knocks > 0


def test_links_and_large_files_are_refused(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("0123456789")
    (tmp_path / "link.txt").symlink_to(target)
    assert local_file(target) == target
    assert read_bytes(target, 10) == b"0123456789"
    with pytest.raises(DeliveryError, match="a link"):
        local_file(tmp_path / "link.txt")
    with pytest.raises(DeliveryError, match="at most 9 bytes"):
        read_bytes(target, 9)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DeliveryError, match="a pipe"):
        read_bytes(tmp_path / "pipe", 9)


def test_unsound_images_are_counted(capsys):
    with capsys.disabled():
        print(f"\nTIFF: {len(BAD)} unsound images, {len(ADDRESSES) + 2} addresses tried")
    assert len(BAD) + len(ADDRESSES) >= 20
