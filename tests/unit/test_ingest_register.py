"""Offsets between images: planted ones are found in parts of a pixel, and doubt is told."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from stsfusion.ingest.register import register, translated, vector_between

SCENES = ("jasper_ridge", "samson", "indian_pines", "paris_hyperion", "abu_urban_1", "pavia_centre_crop")
TINY = 0.02


def field(rows, cols, seed=0):
    """A smooth ground that is known at any place."""
    draw = np.random.default_rng(seed)
    total = np.zeros(np.broadcast(rows, cols).shape)
    for _ in range(40):
        period, turn, phase = draw.uniform(6, 40), draw.uniform(0, 2 * np.pi), draw.uniform(0, 2 * np.pi)
        total += np.sin(2 * np.pi * (rows * np.cos(turn) + cols * np.sin(turn)) / period + phase)
    return 0.2 + 0.02 * total


def seen_at(down, right, shape=(128, 128)):
    """The ground in an image whose content lies that much further down and right."""
    rows, cols = np.mgrid[: shape[0], : shape[1]].astype(float)
    return field(rows - down, cols - right)


def moved(image, down, right):
    """An image moved by the ideal kernel, on its even continuation."""
    half = image.shape[0] // 2
    wide = np.pad(image, half, mode="reflect")
    y, x = np.fft.fftfreq(wide.shape[0])[:, None], np.fft.fftfreq(wide.shape[1])[None]
    turned = np.fft.fft2(wide) * np.exp(-2j * np.pi * (y * down + x * right))
    return np.fft.ifft2(turned).real[half : half + image.shape[0], half : half + image.shape[1]]


@pytest.mark.parametrize(
    ("down", "right"),
    [(0, 0), (0.5, 0), (0, -0.25), (1.5, 1.5), (-2.3, 0.7), (3, -3), (2.9, 1.1), (-6.4, 4.2)],
)
def test_planted_offsets_are_found(down, right):
    found = register(seen_at(0, 0), seen_at(down, right), threshold=9, largest=9)
    assert found.down == pytest.approx(down, abs=TINY)
    assert found.right == pytest.approx(right, abs=TINY)
    assert found.status == "good"
    assert found.vectors[0].alike > 0.999


@pytest.mark.parametrize("name", SCENES)
def test_planted_offsets_are_found_on_real_scenes(data_folder, name):
    path = data_folder / "scenes" / f"{name}.nc"
    if not path.is_file():
        pytest.skip(f"no scene {path}")
    with xr.open_dataset(path, decode_cf=False) as file:
        cube = file["reflectance"]
        cube = cube.isel({dim: 0 for dim in cube.dims if dim not in ("band", "y", "x")})
        image = cube.isel(band=30).to_numpy().astype(float)
    draw = np.random.default_rng(0)
    inner = (slice(8, -8), slice(8, -8))
    for _ in range(5):
        turn, far = draw.uniform(0, 2 * np.pi), draw.uniform(0, 3)
        down, right = far * np.sin(turn), far * np.cos(turn)
        noise = draw.normal(0, 0.02 * image.std(), image.shape)
        other = moved(image, down, right) * 1.3 + 0.1 * image.mean() + noise
        found = register(image[inner], other[inner], window=64, threshold=4)
        assert np.hypot(found.down - down, found.right - right) < 0.1
        assert found.status == "good"


def test_brightness_contrast_and_sign_do_not_matter():
    first = seen_at(0, 0)
    for gain, offset in ((3.0, -0.5), (0.01, 100.0), (4000.0, 0.0)):
        found = register(first, gain * seen_at(1.25, -0.6) + offset)
        assert (found.down, found.right) == pytest.approx((1.25, -0.6), abs=TINY)


def test_there_and_back_is_nothing():
    one, other = seen_at(0, 0), seen_at(0.7, -1.3)
    there, back = register(one, other), register(other, one)
    assert (there.down, there.right) == pytest.approx((-back.down, -back.right), abs=TINY)


def test_what_is_not_seen_has_no_say():
    first, second = seen_at(0, 0, (192, 192)), seen_at(1.4, 0.3, (192, 192))
    valid = np.ones(first.shape, bool)
    valid[20:60, 30:90] = False
    valid[:, 100:120] = False
    spoilt = np.where(valid, second, 5.0)
    found = register(first, spoilt, valid)
    assert (found.down, found.right) == pytest.approx((1.4, 0.3), abs=0.02)
    with_gaps = np.where(valid, second, np.nan)
    assert register(first, with_gaps).down == pytest.approx(1.4, abs=0.02)
    # The twin that is not told of the gaps goes astray or says that it is unsure.
    blind = register(first, spoilt)
    assert blind.status != "good" or abs(blind.down - 1.4) > 0.02 or len(blind.vectors) < len(found.vectors)


def test_clouds_in_some_windows_do_not_move_the_median():
    first, second = seen_at(0, 0, (288, 288)), seen_at(-0.8, 2.2, (288, 288))
    second[:96, :192] = field(*np.mgrid[:96, :192].astype(float), seed=9)
    found = register(first, second)
    assert (found.down, found.right) == pytest.approx((-0.8, 2.2), abs=TINY)


@pytest.mark.parametrize(
    ("image", "status"),
    [
        (np.full((128, 128), 0.3), "nothing to compare"),
        (np.full((128, 128), np.nan), "nothing to compare"),
        (field(*np.mgrid[:128, :128].astype(float), seed=5), "nothing to compare"),
        (seen_at(4.5, 0), "large"),
        (seen_at(0.1, 0), "good"),
    ],
)
def test_status(image, status):
    found = register(seen_at(0, 0), image)
    assert found.status == status
    if status == "nothing to compare":
        assert (found.down, found.right, found.vectors) == (0, 0, ())


def test_windows_that_disagree_are_told():
    shape = (192, 192)
    rows, cols = np.mgrid[: shape[0], : shape[1]].astype(float)
    bent = field(rows - 4 * cols / shape[1], cols)
    found = register(field(rows, cols), bent, window=48)
    assert found.status == "uncertain"
    assert found.spread > 0.5


def test_offsets_beyond_the_reach_are_not_made_up():
    one, other = seen_at(0, 0), seen_at(14, 0)
    found = vector_between(one, other, np.ones(one.shape, bool), largest=5)
    assert found is None or found.alike < 0.5


@pytest.mark.parametrize(("down", "right"), [(0.0, 0.0), (0.5, -0.25), (-2.75, 3.1), (7.0, 0.4)])
def test_moving_keeps_planes_and_parabolas(down, right):
    rows, cols = np.mgrid[:60, :50].astype(float)

    def surface(y, x):
        return 3 + 0.2 * y - 0.7 * x + 0.01 * y**2 - 0.02 * x**2 + 0.003 * x * y

    inner = (slice(12, -12), slice(12, -12))
    found = translated(surface(rows, cols), down, right)
    assert np.allclose(found[inner], surface(rows + down, cols + right)[inner], rtol=0, atol=1e-10)
