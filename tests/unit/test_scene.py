"""Reading a scene or a real pair: counts, gaps, dead bands, crops, and a clear refusal of everything else."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from stsfusion.errors import CubeError
from stsfusion.pipeline.scene import parse_crop, read_scene

BANDS, ROWS, COLS = 5, 9, 12
NM = [450.0, 550.0, 650.0, 850.0, 1600.0]


def _file(counts=None, **attrs):
    if counts is None:
        counts = np.arange(BANDS * ROWS * COLS, dtype=np.int16).reshape(BANDS, ROWS, COLS) - 50
    cube = xr.DataArray(counts, dims=("band", "y", "x"), attrs={"scale_factor": 1e-3, **attrs})
    return cube.to_dataset(name="reflectance").assign_coords(wavelength=("band", NM))


def _with_ali(file):
    ali = np.random.default_rng(0).random((2, ROWS, COLS)).astype(np.float32)
    limits = {"msi_low": ("msi_band", [500.0, 2000.0]), "msi_high": ("msi_band", [700.0, 2300.0])}
    return file.assign(ali=(("msi_band", "y", "x"), ali)).assign(limits)


def _write(path, file):
    file.to_netcdf(path / "some.nc", engine="h5netcdf")
    return path / "some.nc"


def test_counts_are_scaled_and_nothing_is_clipped(tmp_path):
    file = _file()
    file.reflectance[4, 8, 11] = 2500
    scene = read_scene(_write(tmp_path, file))
    assert scene.name == "some"
    assert scene.values.dtype == np.float32
    np.testing.assert_allclose(scene.values[0, 0, :3], [-0.050, -0.049, -0.048], rtol=1e-6)
    assert scene.values[4, 8, 11] == np.float32(2.5)
    np.testing.assert_array_equal(scene.wavelengths, NM)
    assert (scene.fwhm, scene.partner, scene.notes) == (None, None, ())


@pytest.mark.parametrize("place", ["variable", "file"])
def test_gaps_shrink_it_to_the_largest_rectangle_and_it_is_said(tmp_path, place):
    counts = np.full((BANDS, ROWS, COLS), 7, np.int16)
    counts[2] = -999
    counts[:, 4, 3] = -999
    file = _file(counts, **({"nodata": np.int16(-999)} if place == "variable" else {}))
    if place == "file":
        file.attrs["nodata"] = "-999"
    scene = read_scene(_write(tmp_path, file))
    assert scene.values.shape == (4, 9, 8)
    assert (scene.values > 0).all()
    np.testing.assert_array_equal(scene.wavelengths, np.delete(NM, 2))
    assert scene.notes == (
        "some: hyperspectral bands without data are left out: 3",
        "some: rows 0:9 and columns 4:12 are used, the largest rectangle without a gap of 9 × 12",
    )


def test_a_crop_comes_before_the_gaps(tmp_path):
    file = _file(np.ones((BANDS, ROWS, COLS)))
    file.reflectance[:, 0, :] = np.nan
    path = _write(tmp_path, file)
    assert read_scene(path, parse_crop("3:8,2:9")).values.shape == (BANDS, 5, 7)
    assert read_scene(path, parse_crop("3:8,2:9")).notes == ()
    assert read_scene(path, parse_crop("0:4,0:5")).values.shape == (BANDS, 3, 5)


def test_a_crop_takes_these_very_pixels(tmp_path):
    whole = read_scene(_write(tmp_path, _file())).values
    part = read_scene(tmp_path / "some.nc", parse_crop("1:4,5:11")).values
    np.testing.assert_array_equal(part, whole[:, 1:4, 5:11])


@pytest.mark.parametrize("text", ["1:2", "a:b,1:2", "1,2", "0:4,0:5,0:6", ""])
def test_what_is_no_crop_is_refused(text):
    with pytest.raises(CubeError, match="expected 'y0:y1,x0:x1'"):
        parse_crop(text)


@pytest.mark.parametrize("text", ["0:10,0:5", "0:4,5:5", "-1:4,0:5", "0:4,8:13"])
def test_a_crop_beyond_the_scene_is_refused(tmp_path, text):
    with pytest.raises(CubeError, match="within 0:"):
        read_scene(_write(tmp_path, _file()), parse_crop(text))


def test_a_single_date_is_an_image(tmp_path):
    file = _file()
    dated = file.assign(reflectance=file.reflectance.expand_dims("time", 1))
    np.testing.assert_array_equal(
        read_scene(_write(tmp_path, dated)).values, np.asarray(file.reflectance * 1e-3, np.float32)
    )


def test_a_real_pair(tmp_path):
    file = _with_ali(_file())
    file.ali[0, 8, :] = np.nan
    scene = read_scene(_write(tmp_path, file), pair="ali")
    assert scene.values.shape == (BANDS, 8, COLS)
    np.testing.assert_array_equal(scene.partner.values, file.ali[:, :8])
    assert (list(scene.partner.low), list(scene.partner.high)) == ([500, 2000], [700, 2300])
    assert read_scene(tmp_path / "some.nc").values.shape == (BANDS, ROWS, COLS)


def test_dead_bands_of_a_real_pair_are_left_out(tmp_path):
    file = _with_ali(_file())
    file.ali[0] = np.nan
    scene = read_scene(_write(tmp_path, file), pair="ali")
    assert scene.partner.values.shape == (1, ROWS, COLS)
    assert list(scene.partner.low) == [2000]
    assert scene.notes == ("ali: multispectral bands without data are left out: 1",)


FAULTS = {
    "no reflectance": (lambda f: f.rename(reflectance="radiance"), "variable 'reflectance'.*radiance"),
    "a series": (
        lambda f: f.assign(reflectance=f.reflectance.expand_dims("time", 0).isel(time=[0, 0])),
        r"got \('time', 'band', 'y', 'x'\).\n.*isel\(time=\[0\]\).*bench sts",
    ),
    "a matrix": (lambda f: f.assign(reflectance=f.reflectance[0]), r"got \('y', 'x'\)"),
    "no wavelength": (lambda f: f.drop_vars("wavelength"), "coordinate 'wavelength'"),
    "micrometres": (lambda f: f.assign_coords(wavelength=f.wavelength / 1000), "Multiply micrometres"),
    "gaps everywhere": (lambda f: f.assign(reflectance=f.reflectance * np.nan), "gaps everywhere"),
    "no partner": (lambda f: f.drop_vars("ali"), "expected a variable 'ali'"),
    "no limits": (lambda f: f.drop_vars("msi_high"), "coordinate 'msi_high'"),
    "another grid": (lambda f: f.assign(ali=f.ali.isel(y=slice(3)).rename(y="v")), "ali"),
    "a sharp matrix": (lambda f: f.assign(ali=f.ali[0].drop_vars("band", errors="ignore")), "ali"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_named(tmp_path, fault):
    spoil, message = FAULTS[fault]
    with pytest.raises(CubeError, match=message):
        read_scene(_write(tmp_path, spoil(_with_ali(_file()))), pair="ali")


def test_no_pixel_in_every_band(tmp_path):
    counts = np.ones((BANDS, ROWS, COLS))
    counts[0, :5], counts[1, 5:] = np.nan, np.nan
    with pytest.raises(CubeError, match="a pixel that is there in every band"):
        read_scene(_write(tmp_path, _file(counts)))
