"""Reading a true series: counts to reflectance, gaps, and a clear refusal of everything else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from stsfusion.errors import CubeError
from stsfusion.pipeline.truth import read_truth

DAYS = pd.to_datetime(["2022-01-01", "2022-01-11", "2022-02-10"])


def _series(counts=None, **attrs):
    counts = np.arange(3 * 2 * 4 * 5, dtype=np.int16).reshape(3, 2, 4, 5) + 100 if counts is None else counts
    cube = xr.DataArray(counts, dims=("time", "band", "y", "x"), attrs={"scale_factor": 1e-4, **attrs})
    return cube.to_dataset(name="reflectance").assign_coords(time=DAYS, wavelength=("band", [550.0, 860.0]))


def _write(path, series):
    series.to_netcdf(path / "truth.nc", engine="h5netcdf")
    return path / "truth.nc"


def test_counts_are_scaled(tmp_path):
    truth = read_truth(_write(tmp_path, _series(add_offset=0.01)))
    assert truth.values.dtype == np.float32
    np.testing.assert_allclose(truth.values[0, 0, 0], np.arange(100, 105) * 1e-4 + 0.01, rtol=1e-6)
    assert truth.valid.all()
    np.testing.assert_array_equal(truth.days, [0, 10, 40])
    assert truth.times == ("2022-01-01", "2022-01-11", "2022-02-10")
    assert truth.fwhm is None


@pytest.mark.parametrize("mark", ["nodata", "missing_value"])
def test_gaps_are_marked_in_counts(tmp_path, mark):
    series = _series(**{mark: np.int16(-999)})
    series.reflectance[1, 0, 2, 3] = -999
    truth = read_truth(_write(tmp_path, series))
    assert np.argwhere(~truth.valid).tolist() == [[1, 0, 2, 3]]
    assert truth.values[1, 0, 2, 3] == 0


def test_nan_is_a_gap(tmp_path):
    counts = np.random.default_rng(0).random((3, 2, 4, 5))
    counts[0, 1, 1, 1] = np.nan
    truth = read_truth(_write(tmp_path, _series(counts)))
    assert np.argwhere(~truth.valid).tolist() == [[0, 1, 1, 1]]
    assert np.isfinite(truth.values).all()


def test_the_order_of_dimensions_does_not_matter(tmp_path):
    straight = read_truth(_write(tmp_path, _series())).values
    turned = read_truth(_write(tmp_path, _series().transpose("y", "time", "x", "band"))).values
    np.testing.assert_array_equal(straight, turned)


FAULTS = {
    "no reflectance": (
        lambda s: s.rename(reflectance="radiance"),
        "variable 'reflectance'.*variables radiance",
    ),
    "an image": (lambda s: s.isel(time=0, drop=True), r"got \('band', 'y', 'x'\).\n.*no series"),
    "no time": (lambda s: s.drop_vars("time"), "coordinate 'time'.*\n.*assign_coords"),
    "bare time": (lambda s: s.assign_coords(time=[0, 10, 40]), "expected dates, got int64"),
    "time twice": (lambda s: s.assign_coords(time=DAYS[[0, 1, 1]]), "dates that rise"),
    "time falls": (lambda s: s.isel(time=[1, 0, 2]), "dates that rise"),
    "no wavelength": (lambda s: s.drop_vars("wavelength"), r"coordinate 'wavelength' \(nm\)"),
    "micrometres": (lambda s: s.assign_coords(wavelength=s.wavelength / 1000), "Multiply micrometres"),
    "wavelength NaN": (
        lambda s: s.assign_coords(wavelength=("band", [np.nan, 860.0])),
        "positive numbers in nm",
    ),
    "only gaps": (lambda s: s.assign(reflectance=s.reflectance.astype(float) * np.nan), "gaps everywhere"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_named(tmp_path, fault):
    spoil, message = FAULTS[fault]
    with pytest.raises(CubeError, match=message):
        read_truth(_write(tmp_path, spoil(_series())))


def test_a_missing_file_and_a_foreign_one(tmp_path):
    with pytest.raises(CubeError, match="no such file"):
        read_truth(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("no series")
    with pytest.raises(CubeError, match="expected a NetCDF 4 file"):
        read_truth(tmp_path / "text.nc")
