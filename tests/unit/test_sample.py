"""Real scenes: the packaged one, files of one's own, and what is said when they are not there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from stsfusion.errors import CubeError
from stsfusion.forward.calibration import apparent_reflectance, flat_field
from stsfusion.forward.sample import open_scene

DATA = Path(os.environ.get("STSFUSION_DATA", Path(__file__).parents[2] / "../shared/data"))


def _file(path, values, **attributes):
    nm = np.linspace(450, 900, len(values))
    cube = xr.DataArray(values, dims=("band", "y", "x"), attrs=attributes)
    xr.Dataset({"reflectance": cube}, {"wavelength": ("band", nm)}, {"gsd_m": "30"}).to_netcdf(
        path, engine="h5netcdf"
    )
    return path


def test_flat_field_undoes_a_known_atmosphere():
    """Straight soil and a green canopy through gas bands, haze and the sun's spectrum, and back."""
    nm = np.arange(440.0, 2300.0, 10.0)
    soil = 0.10 + 0.20 * (nm - 440) / 1860
    canopy = np.where(nm < 700, 0.03, np.where(nm < 1350, 0.45, 0.15))
    share = np.linspace(-0.2, 1, 400).clip(0).reshape(20, 20)
    ground = soil[:, None, None] * (1 - share) + canopy[:, None, None] * share
    gas = 1 - 0.5 * np.exp(-(((nm - 940) / 25) ** 2)) - 0.55 * np.exp(-(((nm - 1130) / 20) ** 2))
    haze = 0.08 * (nm / 460) ** -3.5
    found = flat_field(ground * gas[:, None, None] + haze[:, None, None], nm)
    inside = (nm > 480) & (nm < 2200)
    assert np.abs(found - ground)[inside].max() < 0.03
    assert np.abs(np.diff(found[:, 0, 0]))[(nm > 900)[1:] & (nm < 1200)[1:]].max() < 0.01


def test_apparent_reflectance_is_one_for_a_white_target_under_the_sun():
    nm = np.array([560.0, 865.0])
    radiance = np.array([1859.0, 948.0])[:, None, None] * np.cos(np.radians(40)) / np.pi / 1.01**2
    np.testing.assert_allclose(apparent_reflectance(radiance, nm, 40.0, 1.01), 1.0)


def test_the_packaged_scene_is_a_plausible_reflectance():
    pytest.importorskip("tensorly", reason="the extra 'demo' is not installed")
    sample = open_scene("indian-pines")
    assert sample.reflectance.shape == (200, 145, 145)
    assert sample.reflectance.dtype == np.float32
    assert len(np.unique(sample.wavelengths)) == 200
    assert -0.1 < sample.reflectance.min() < 0.05 < 0.5 < sample.reflectance.max() < 1.0
    blue, red, near, far = (
        sample.reflectance[np.argmin(np.abs(sample.wavelengths - nm))] for nm in (480, 660, 865, 1650)
    )
    green = (near - red) / (near + red) > 0.8
    assert green.mean() > 0.05
    assert near[green].mean() > 0.35
    assert far[green].mean() < 0.25
    assert red[green].mean() < 0.06
    bare = (near - red) / (near + red) < 0.35
    assert blue[bare].mean() < red[bare].mean() < near[bare].mean() < 0.4


def test_wavelengths_are_those_of_the_published_band_table():
    path = DATA / "scenes" / "indian_pines.nc"
    if not path.is_file():
        pytest.skip(f"no shared data at {path}")
    pytest.importorskip("tensorly", reason="the extra 'demo' is not installed")
    with xr.open_dataset(path, engine="h5netcdf") as file:
        np.testing.assert_allclose(open_scene("indian-pines").wavelengths, file["wavelength"], atol=0.01)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorly.datasets", None)
    with pytest.raises(CubeError, match=r"stsfusion\[demo\]"):
        open_scene("indian-pines")


def test_a_file_is_scaled_and_its_dead_bands_are_left_out(tmp_path):
    counts = np.arange(1, 4 * 36 + 1, dtype=np.int16).reshape(4, 6, 6)
    counts[2] = -1
    sample = open_scene(_file(tmp_path / "mine.nc", counts, scale_factor=0.001, nodata="-1"))
    assert sample.name == "mine"
    assert sample.pixel == 30.0
    np.testing.assert_allclose(sample.wavelengths, [450, 600, 900])
    np.testing.assert_allclose(sample.reflectance, counts[[0, 1, 3]] * 0.001, rtol=1e-6)


def test_gaps_are_refused(tmp_path):
    counts = np.ones((3, 6, 6), np.float32)
    counts[:, 2, 2] = np.nan
    with pytest.raises(CubeError, match="1 pixels with gaps"):
        open_scene(_file(tmp_path / "holes.nc", counts))


@pytest.mark.parametrize("values", [np.ones((2, 3, 4, 5), np.float32)])
def test_a_series_is_no_scene(tmp_path, values):
    cube = xr.DataArray(values, dims=("time", "band", "y", "x"))
    xr.Dataset({"reflectance": cube}, {"wavelength": ("band", [1.0, 2.0, 3.0])}).to_netcdf(
        tmp_path / "series.nc", engine="h5netcdf"
    )
    with pytest.raises(CubeError, match="Select one date"):
        open_scene(tmp_path / "series.nc")


def test_what_is_not_there_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(CubeError, match="Did you mean 'indian-pines'"):
        open_scene("indian-pine")
    (tmp_path / "text.nc").write_text("no netcdf")
    with pytest.raises(CubeError, match="NetCDF file with"):
        open_scene(tmp_path / "text.nc")
