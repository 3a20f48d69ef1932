from __future__ import annotations

import dask.array
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from strategies import masks

from stsfusion.cube.schema import check, validity
from stsfusion.errors import CubeError


def test_a_good_cube_passes_with_its_numbers_untouched(make_cube):
    cube = make_cube()
    checked = check(cube)
    assert checked.dtype == np.float32
    assert np.array_equal(checked, cube)
    assert validity(checked).all()
    assert validity(checked).shape == cube.shape


def test_small_differences_of_form_are_mended(make_cube):
    cube = make_cube().astype("float64")
    odd = cube.transpose("y", "x", "band", "time").assign_coords(
        wavelength=("band", cube.wavelength.values / 1000, {"units": "µm"}), band=[1, 2, 3, 4]
    )
    checked = check(odd)
    assert checked.dims == ("time", "band", "y", "x")
    assert np.allclose(checked.wavelength, cube.wavelength)
    assert list(checked.band.values) == ["1", "2", "3", "4"]


def test_widths_have_a_unit_of_their_own(make_cube):
    cube = make_cube()
    lengths = ("band", cube.wavelength.values / 1000, {"units": "µm"})
    small = cube.assign_coords(wavelength=lengths, fwhm=("band", cube.fwhm.values / 1000, {"units": "µm"}))
    np.testing.assert_allclose(check(small).fwhm, cube.fwhm)
    with pytest.raises(CubeError, match="state its unit in"):
        check(small.assign_coords(fwhm=("band", cube.fwhm.values / 1000)))


def test_the_mend_of_zoned_times_mends_them(make_cube):
    cube = make_cube()
    local = cube.assign_coords(time=cube.indexes["time"].tz_localize("UTC").tz_convert("Asia/Shanghai"))
    mended = local.assign_coords(time=local.indexes["time"].tz_convert("UTC").tz_localize(None))
    np.testing.assert_array_equal(check(mended).time, cube.time)


def test_band_order_is_kept(make_cube):
    cube = make_cube().assign_coords(wavelength=("band", [900.0, 500.0, 1000.0, 600.0]))
    assert list(check(cube).wavelength.values) == [900.0, 500.0, 1000.0, 600.0]


def spoil(cube, **coords):
    return cube.assign_coords(**coords)


@pytest.mark.parametrize(
    "spoiled, fault",
    [
        (lambda c: c.rename(band="channel"), "dims are"),
        (lambda c: c.isel(time=0, drop=True), "expand_dims"),
        (lambda c: c.isel(time=slice(0)), "'time' is empty"),
        (lambda c: c.drop_vars("time"), "'time' has no coordinate"),
        (lambda c: spoil(c, time=[1, 2, 3]), "not dates"),
        (lambda c: spoil(c, time=pd.to_datetime(["2021-01-01", "2021-01-01", "2021-02-01"])), "come twice"),
        (lambda c: spoil(c, time=c.indexes["time"].tz_localize("Asia/Shanghai")), r"tz_convert\('UTC'\)"),
        (lambda c: c.isel(time=[1, 0, 2]), "must rise"),
        (lambda c: spoil(c, time=pd.to_datetime(["2021-01-01", None, "2021-02-01"])), "NaT"),
        (lambda c: spoil(c, band=["a", "b", "a", "c"]), "band names must be unique, but a"),
        (lambda c: c.drop_vars("wavelength"), "'wavelength' is missing"),
        (
            lambda c: spoil(c, wavelength=("band", [450.0, np.nan, 500, 600])),
            "finite, but band 1",
        ),
        (lambda c: spoil(c, wavelength=("band", [450.0, 500, 500, 600])), "bands 1, 2 .* share 500 nm"),
        (lambda c: spoil(c, wavelength=("band", [0.45, 0.5, 0.55, 0.6])), "which is not nm"),
        (lambda c: spoil(c, fwhm=("band", [1.0, 1, 0, 1])), "'fwhm' must be positive"),
        (lambda c: spoil(c, fwhm=("band", [0.05, 0.05, 0.05, 0.05])), "width of 0.05 nm, which no band has"),
        (lambda c: spoil(c, fwhm=("band", [20.0, 20.0, 2e4, 20.0])), "width of 20000 nm, which no band has"),
        (lambda c: spoil(c, x=np.r_[c.x.values[:-1], c.x.values[-1] + 3]), "evenly spaced"),
        (lambda c: c.drop_vars("y"), "coordinate 'y'"),
        (lambda c: (c * 10000).astype("int16"), "values are int16"),
        (lambda c: c.assign_attrs(units="%"), "divide by 100"),
        (lambda c: c * 10000, "look like counts"),
        (lambda c: c * 100, "look like percent"),
        (lambda c: c.where(c > 0.01), "nothing says that they are gaps"),
        (lambda c: spoil(c.where(c > 0.01), valid=c > 0), "NaN where 'valid' is True"),
        (lambda c: c + np.inf, "infinite"),
        (lambda c: spoil(c, valid=c < 0), "not one value is valid"),
        (lambda c: spoil(c, valid=c), "'valid' holds float32"),
    ],
)
def test_each_fault_is_told(make_cube, spoiled, fault):
    with pytest.raises(CubeError, match=fault):
        check(spoiled(make_cube()))


def test_all_faults_are_told_at_once(make_cube):
    cube = make_cube().isel(time=[1, 0, 2]).assign_coords(wavelength=("band", [450.0, 450, 500, np.nan]))
    with pytest.raises(CubeError) as caught:
        check(cube.where(cube > 0.01), "mine", "rich")
    told = str(caught.value)
    assert "cube 'mine' (role rich)" in told
    assert "got 4 faults" in told
    for part in ("must rise", "share 450 nm", "band 3 (from 0)", "are gaps"):
        assert part in told


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("gap", [np.nan, -9999.0])
def test_declared_gaps_become_invalid(make_cube, gap, lazy):
    whole = make_cube()
    cube = whole.where(whole > 0.01, gap).assign_attrs(_FillValue=gap)
    checked = check(cube.chunk(time=1) if lazy else cube)
    assert isinstance(checked.data, dask.array.Array) == lazy
    assert np.array_equal(validity(checked), whole > 0.01)
    assert np.array_equal(np.isnan(checked), whole <= 0.01)
    assert "_FillValue" not in checked.attrs


@given(mask=masks((3, 1, 30, 36)))
def test_a_stated_mask_is_kept_and_its_gaps_are_nan(make_cube, mask):
    cube = make_cube()
    if not mask.any():
        return
    checked = check(cube.assign_coords(valid=(("time", "band", "y", "x"), np.broadcast_to(mask, cube.shape))))
    assert np.array_equal(np.isnan(checked), ~np.broadcast_to(mask, cube.shape))


def test_a_mask_of_dead_bands_alone_is_enough(make_cube):
    checked = check(make_cube().assign_coords(valid=("band", [True, False, True, True])))
    assert np.isnan(checked[:, 1]).all()
    assert validity(checked)[:, [0, 2, 3]].all()


def test_values_a_little_outside_pass_with_a_warning(make_cube):
    cube = make_cube()
    cube[0, 0, 0, :2] = [2.5, -0.3]
    with pytest.warns(UserWarning, match=r"2 of \d+ values lie outside"):
        checked = check(cube)
    assert checked[0, 0, 0, 0] == np.float32(2.5)


def test_labels_can_be_checked_without_reading_a_value(make_cube):
    def fail():
        raise AssertionError("a value was read")

    cube = make_cube()
    lazy = cube.copy(data=dask.array.from_delayed(dask.delayed(fail)(), cube.shape, np.float32))
    assert check(lazy, values=False).shape == cube.shape


def test_a_dataset_is_refused(make_cube):
    with pytest.raises(CubeError, match=r"dataset\['reflectance'\]"):
        check(make_cube().to_dataset())
