from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import grids, ratios
from xarray import DataArray

from stsfusion.cube.georeference import axes_of, grid_of
from stsfusion.cube.grid import Grid
from stsfusion.errors import CubeError
from stsfusion.window import Window

BASE = Grid((384, 768), 10.0, (398000.0, 4420000.0), "EPSG:32650")


def labelled(grid):
    return DataArray(np.zeros(grid.shape), dims=("y", "x"), coords=axes_of(grid))


@given(grids())
def test_a_grid_comes_back_from_its_coordinates(grid):
    assert grid_of(labelled(grid)) == grid


@given(st.data(), ratios)
def test_a_coarse_pixel_lies_in_the_middle_of_its_fine_ones(data, ratio):
    fine = data.draw(grids(multiple=ratio))
    coarse = fine.coarsen(ratio)
    assert np.allclose(coarse.x, fine.x.reshape(-1, ratio).mean(1), rtol=0, atol=1e-6)
    assert np.allclose(coarse.y, fine.y.reshape(-1, ratio).mean(1), rtol=0, atol=1e-6)
    assert coarse.bounds == fine.bounds
    assert coarse.ratio_to(fine) == ratio
    assert coarse.refine(ratio) == fine


@given(grids(), st.integers(1, 12))
def test_padding_keeps_the_corner_and_reaches_the_multiple(grid, multiple):
    padded = grid.padded(multiple)
    assert padded.origin == grid.origin
    for new, old in zip(padded.shape, grid.shape, strict=True):
        assert new % multiple == 0
        assert 0 <= new - old < multiple
    assert np.array_equal(padded.x[: grid.shape[1]], grid.x)


def test_coordinates_equal_the_ground_to_the_last_bit():
    assert np.array_equal(BASE.x, np.arange(398005, 398005 + 7680, 10))
    assert np.array_equal(BASE.y, np.arange(4419995, 4419995 - 3840, -10))
    assert np.array_equal(BASE.x, BASE.geobox.coordinates["x"].values)
    assert np.array_equal(BASE.y, BASE.geobox.coordinates["y"].values)


@pytest.mark.parametrize(
    "other, reason",
    [
        (
            Grid((128, 256), 30.0, (398000.0, 4420000.0), "EPSG:32651"),
            r"other CRS \(EPSG:32651 and EPSG:32650\)",
        ),
        (Grid((128, 256), 30.0, (398000.0, 4420000.0)), "other CRS"),
        (
            Grid((240, 480), 16.0, (398000.0, 4420000.0), "EPSG:32650"),
            r"ratio not an integer \(16 / 10 = 1.6\)",
        ),
        (Grid((768, 1536), 5.0, (398000.0, 4420000.0), "EPSG:32650"), "ratio not an integer"),
        (Grid((128, 256), 30.0, (398004.0, 4420000.0), "EPSG:32650"), r"not aligned \(corners 0.400, 0.000"),
        (Grid((128, 256), 30.0, (398030.0, 4420000.0), "EPSG:32650"), "other extent"),
        (Grid((127, 256), 30.0, (398000.0, 4420000.0), "EPSG:32650"), "other extent"),
        (Grid((128, 256), 30.0, (398000.0, 4416160.0), "EPSG:32650", rising=True), "from north to south"),
    ],
)
def test_a_misfit_is_refused_with_its_reason(other, reason):
    with pytest.raises(CubeError, match=reason):
        other.ratio_to(BASE)


@pytest.mark.parametrize(("fine", "common"), [(20.0, 10.0), (12.0, 6.0), (45.0, 15.0)])
def test_pixels_that_do_not_nest_are_told_a_common_one(fine, common):
    coarse, fine = Grid((60, 60), 30.0, (0.0, 0.0)), Grid((90, 90), fine, (0.0, 0.0))
    with pytest.raises(CubeError, match=rf"Pixels of {common:g} divide both: give a finest cube"):
        coarse.ratio_to(fine)


@pytest.mark.parametrize("pixel", [30.0, 16.0, 31.0])
def test_no_pixel_is_told_where_they_nest_or_none_is_near(pixel):
    with pytest.raises(CubeError) as caught:
        Grid((127, 256), pixel, (398000.0, 4420000.0), "EPSG:32650").ratio_to(BASE)
    assert "divide both" not in str(caught.value)


def test_every_misfit_is_told_at_once():
    with pytest.raises(CubeError, match=r"other CRS .*not aligned"):
        Grid((128, 256), 30.0, (398004.0, 4420000.0)).ratio_to(BASE)


def test_a_grid_that_no_ratio_divides_is_refused_with_the_mend():
    with pytest.raises(CubeError, match=r"grid.padded\(5\)"):
        BASE.coarsen(5)


def test_bounds_take_every_pixel_that_they_touch():
    window = BASE.window_of((398010.0, 4419965.0, 398035.0, 4419990.0), dates=(0, 2))
    assert window == Window((0, 2), (1, 4), (1, 4))
    assert BASE.window_of(BASE.bounds) == Window((0, 1), (0, 384), (0, 768))


@given(st.data())
def test_bounds_of_a_crop_give_its_window_back(data):
    grid = data.draw(grids())
    rows, cols = (sorted(data.draw(st.integers(0, n)) for _ in range(2)) for n in grid.shape)
    if rows[0] == rows[1] or cols[0] == cols[1]:
        return
    window = Window((0, 1), tuple(rows), tuple(cols))
    assert grid.window_of(grid.crop(window).bounds) == window


@pytest.mark.parametrize(
    "bounds", [(0, 0, 1, 1), (398010, 4419990, 398010, 4419990), (398030, 4419900, 398000, 4419990)]
)
def test_bounds_outside_or_empty_are_refused(bounds):
    with pytest.raises(CubeError, match="overlap"):
        BASE.window_of(bounds)


def test_a_cut_cube_is_not_put_where_its_old_text_says():
    cut = labelled(BASE)[30:, 60:]
    assert grid_of(cut).origin == (398600.0, 4419700.0)


def test_a_single_pixel_takes_its_size_from_the_reference_or_the_caller():
    assert grid_of(labelled(BASE)[:1, :1]).pixel == 10.0
    bare = DataArray([[0.0]], dims=("y", "x"), coords={"y": [5.0], "x": [5.0]})
    assert grid_of(bare, pixel=2.0).origin == (4.0, 6.0)
    with pytest.raises(CubeError, match="its size"):
        grid_of(bare)


def test_a_local_grid_says_that_it_has_no_reference_system():
    local = Grid.local((30, 40), 20.0)
    assert local.crs is None
    assert "local (no CRS)" in str(local)
    assert local.bounds == (0.0, 0.0, 800.0, 600.0)


@pytest.mark.parametrize(
    "y, x, reason",
    [
        ([3.0, 2.0, 0.9], [1.0, 2.0, 3.0], "evenly spaced"),
        ([3.0, 2.0, 1.0], [1.0, 3.0, 5.0], "square pixels"),
        ([3.0, 2.0, 1.0], [3.0, 2.0, 1.0], "x rising"),
        ([3.0, np.nan, 1.0], [1.0, 2.0, 3.0], "evenly spaced"),
    ],
)
def test_coordinates_that_are_no_grid_are_refused(y, x, reason):
    with pytest.raises(CubeError, match=reason):
        grid_of(DataArray(np.zeros((3, 3)), dims=("y", "x"), coords={"y": y, "x": x}))


def test_an_unknown_reference_system_is_refused():
    with pytest.raises(CubeError, match="PROJ knows"):
        Grid((2, 2), 1.0, crs="EPSG:0")
