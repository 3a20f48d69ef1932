"""fuse on labelled cubes: what comes back is labelled like what went in, and is what the method gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from pretended import NAME, pretended
from xarray import DataArray

import stsfusion
from stsfusion.cube.georeference import axes_of
from stsfusion.cube.grid import Grid
from stsfusion.cube.layout import FLAGS
from stsfusion.errors import CubeError, MethodError, PlanError, ProblemError, RecipeError, SensorError
from stsfusion.fusion.answer import Answer, Quality
from stsfusion.fusion.problem import Problem, Target
from stsfusion.methods.bicubic import Bicubic
from stsfusion.methods.fitfc import FitFC
from stsfusion.methods.gsa import GSA
from stsfusion.operators.blur import box_kernel
from stsfusion.operators.pairmodel import PairModel
from stsfusion.pipeline import notebook
from stsfusion.pipeline.assemble import assemble
from stsfusion.pipeline.notebook import fuse
from stsfusion.pipeline.sections import Roles, RoleSpec
from stsfusion.testing import tiny_problem

DATES = np.array(["2021-12-13", "2022-01-08", "2022-02-13"], "datetime64[ns]")
CORNER = (398000.0, 4420000.0)


def labelled(seen, role):
    """An observation of the tiny problem as a user would hold it: gaps are NaN, and said if there are any."""
    rows, cols = seen.data.shape[2:]
    grid = Grid((rows, cols), 10.0 * seen.ratio, CORNER, "EPSG:32650")
    centres = np.linspace(450, 950, seen.data.shape[1]) if role != "rich" else np.linspace(420, 980, 20)
    values = np.where(seen.valid.numpy(), seen.data.numpy(), np.nan)
    cube = DataArray(
        values,
        dims=("time", "band", "y", "x"),
        coords={
            **axes_of(grid),
            "time": DATES[seen.dates],
            "band": [f"{role[0]}{i}" for i in range(len(centres))],
            "wavelength": ("band", centres),
            "fwhm": ("band", np.full(len(centres), 30.0 if role == "rich" else 80.0)),
        },
    )
    return cube.assign_coords(valid=cube.notnull()) if cube.isnull().any() else cube


def cubes_of(gaps=False):
    problem = tiny_problem(size=48, dates=3, gaps=gaps)
    return {role: labelled(seen, role) for role, seen in problem.observations.items()}


@pytest.fixture(scope="module")
def cubes():
    return cubes_of()


@pytest.fixture(scope="module")
def gsa(cubes):
    return fuse(**cubes, method="gsa", psf="gaussian")


def by_tensors(cubes, method, psf="gaussian"):
    """The same without labels."""
    roles = Roles(**{role: RoleSpec(psf=psf) for role in cubes})
    found = assemble(cubes, roles)
    seen = {}
    for source in found.sources:
        cube = cubes[source.role]
        seen[source.role] = notebook.Observation(
            torch.from_numpy(cube.fillna(0.0).values.astype(np.float32)),
            torch.from_numpy(cube.notnull().values),
            source.view(found.target.shape, source.dates),
        )
    problem = Problem(Target(found.target.shape, found.target.wavelengths, found.target.days), **seen)
    return method.fit([problem]).fuse(problem)


def test_the_numbers_are_the_methods(cubes, gsa):
    expected = by_tensors(cubes, GSA())
    np.testing.assert_array_equal(gsa["reflectance"].values, expected.full().numpy())
    np.testing.assert_array_equal(gsa["qa"].values, expected.quality[:, 0].numpy())


def test_labels_units_and_place_are_kept(cubes, gsa):
    reflectance = gsa["reflectance"]
    assert reflectance.dims == ("time", "band", "y", "x")
    assert reflectance.dtype == np.float32
    assert reflectance.attrs["units"] == "1"
    np.testing.assert_array_equal(gsa["time"].values, DATES)
    for name in ("y", "x"):
        np.testing.assert_array_equal(gsa[name].values, cubes["sharp"][name].values)
    for name in ("band", "wavelength", "fwhm"):
        np.testing.assert_array_equal(gsa[name].values, cubes["rich"][name].values)
    assert gsa["wavelength"].attrs["units"] == gsa["fwhm"].attrs["units"] == "nm"
    assert gsa["x"].attrs["units"] == "m"
    assert gsa.attrs["method"] == "gsa"


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # of rioxarray
def test_gis_programs_know_where_it_is(gsa):
    import rioxarray  # noqa: F401

    plane = gsa["reflectance"][0]
    assert plane.rio.crs.to_epsg() == 32650
    assert plane.rio.transform()[:6] == (10.0, 0.0, CORNER[0], 0.0, -10.0, CORNER[1])


def test_flags_are_told_as_cf_does(gsa):
    assert gsa["qa"].dims == ("time", "y", "x")
    meanings = gsa["qa"].attrs["flag_meanings"].split()
    assert dict(zip(gsa["qa"].attrs["flag_values"], meanings, strict=True)) == FLAGS
    assert [int(np.unique(q).item()) for q in gsa["qa"].values] == [
        Quality.OBSERVED,
        Quality.INTERPOLATED,
        Quality.OBSERVED,
    ]


def test_the_result_can_be_written_and_read_again(gsa, tmp_path):
    gsa.to_netcdf(tmp_path / "fused.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "fused.nc", engine="h5netcdf") as back:
        np.testing.assert_array_equal(back["reflectance"].values, gsa["reflectance"].values)
        np.testing.assert_array_equal(back["time"].values, gsa["time"].values)


def test_gaps_are_masked_and_filled():
    cubes = cubes_of(gaps=True)
    assert any(cube.isnull().any() for cube in cubes.values())
    result = fuse(**cubes, method="gsa", psf="gaussian")
    assert not result["reflectance"].isnull().any()
    np.testing.assert_array_equal(result["reflectance"].values, by_tensors(cubes, GSA()).full().numpy())
    assert (result["qa"] == Quality.EXTRAPOLATED).any()


def test_where_nothing_is_known_the_result_is_nan():
    rich = cubes_of()["rich"].copy()
    known = rich.notnull().values
    known[..., 6:] = False
    rich = rich.where(known).assign_coords(valid=(rich.dims, known))
    result = fuse(rich=rich, method={"name": "bicubic", "passes": 1})
    assert result["reflectance"].isel(x=slice(7, None)).isnull().all()
    assert (result["qa"].isel(x=slice(7, None)) == Quality.NO_DATA).all()
    assert result["reflectance"].isel(x=slice(0, 7)).notnull().all()


def test_lazy_cubes_give_the_same(cubes, gsa):
    lazy = {role: cube.chunk({"time": 1, "y": 8}) for role, cube in cubes.items()}
    result = fuse(**lazy, method="gsa", psf="gaussian")
    xr.testing.assert_identical(result, gsa)


def test_the_cubes_are_left_as_they_were(cubes):
    before = {role: cube.copy(deep=True) for role, cube in cubes.items()}
    fuse(**cubes, method="bicubic")
    for role, cube in cubes.items():
        xr.testing.assert_identical(cube, before[role])


def test_dates_are_chosen(cubes, gsa):
    result = fuse(**cubes, method="gsa", psf="gaussian", dates=["2022-01", "2022-02-13"])
    xr.testing.assert_identical(result, gsa.isel(time=[1, 2]))


def test_one_day_may_be_a_text(cubes, gsa):
    result = fuse(**cubes, method="gsa", psf="gaussian", dates="2022-02-13")
    xr.testing.assert_identical(result, gsa.isel(time=[2]))


def square(bands=2, hole=None):
    """A hyperspectral series with as many dates as bands; `hole`: the date on which part of it is a gap."""
    cube = cubes_of()["rich"].isel(band=slice(0, bands))
    valid = xr.ones_like(cube.isel(band=0, drop=True), dtype=bool)
    if hole is not None:
        valid[{"time": hole, "x": slice(4, None)}] = False
    return cube.where(valid).assign_coords(valid=valid)


@pytest.mark.parametrize("bands", [2, 5])
@pytest.mark.parametrize("hole", [0, 1])
def test_a_gap_of_one_date_touches_no_other(bands, hole):
    whole = fuse(rich=square(bands), method={"name": "bicubic", "passes": 0})
    holed = fuse(rich=square(bands, hole), method={"name": "bicubic", "passes": 0})
    assert whole.sizes["time"] == 2
    other = 1 - hole
    xr.testing.assert_identical(holed.isel(time=other), whole.isel(time=other))
    assert (holed["qa"][hole, :, 4:] != whole["qa"][hole, :, 4:]).all()
    assert (holed["qa"][hole, :, :4] == whole["qa"][hole, :, :4]).all()


@pytest.mark.parametrize("dims", [("time", "y", "x"), ("x", "y", "time"), ("band",), ("time",)])
def test_a_mask_may_have_any_of_the_dims(cubes, gsa, dims):
    said = {}
    for role, cube in cubes.items():
        aside = {dim: 0 for dim in cube.dims if dim not in dims}
        said[role] = cube.assign_coords(valid=cube.notnull().isel(aside, drop=True).transpose(*dims))
    xr.testing.assert_identical(fuse(**said, method="gsa", psf="gaussian"), gsa)


def test_a_fitted_method_does_not_learn_again(cubes, monkeypatch):
    model = PairModel(box_kernel(3), torch.zeros(4, 20), torch.zeros(4), torch.zeros(2), 3)
    state = {"live": torch.ones(20, dtype=torch.bool), "used": torch.ones(4, dtype=torch.bool)}
    state |= {"0.weights": torch.zeros(4, 20), "days": torch.zeros(1, dtype=torch.float64)}
    fitted = GSA().with_state(state | {f"0.model.{name}": part for name, part in model.tensors().items()})
    monkeypatch.setattr(GSA, "fit", lambda *_: pytest.fail("learned again"))
    result = fuse(rich=cubes["rich"], sharp=cubes["sharp"], method=fitted)
    plain = fuse(rich=cubes["rich"], sharp=cubes["sharp"], method="lineartime")
    np.testing.assert_allclose(result["reflectance"], plain["reflectance"], atol=1e-6)


def test_instruments_are_named(cubes):
    sharp = cubes["sharp"].isel(band=slice(0, 3)).assign_coords(band=["B02", "B03", "B04"])
    sharp = sharp.assign_coords(wavelength=("band", [486.5, 564.5, 664.5])).drop_vars("fwhm")
    result = fuse(rich=cubes["rich"], sharp=sharp, sensors={"sharp": "zy1-02d-vnic"}, method="gsa")
    assert result["reflectance"].shape == (2, 20, 48, 48)
    with pytest.raises(RecipeError, match="role 'sharp': expected an instrument"):
        fuse(rich=cubes["rich"], sharp=sharp)
    with pytest.raises(SensorError, match="zy1-02d-vnic"):
        fuse(rich=cubes["rich"], sharp=sharp, sensors={"sharp": "zy1-02d-vinc"})


class Unsure(Bicubic):
    """Says how sure it is."""

    def fuse(self, problem):
        answer = super().fuse(problem)
        return Answer(answer.values, answer.quality, torch.full((1, 20, 1, 1), 0.02))


def test_a_standard_deviation_is_given_where_it_is_known(cubes):
    sigma = fuse(rich=cubes["rich"], method=Unsure())["sigma"]
    assert sigma.dims == ("time", "band", "y", "x")
    np.testing.assert_allclose(sigma, 0.02)


@pytest.mark.parametrize(
    ("roles", "more", "error", "message"),
    [
        (("dense",), {}, ProblemError, r"(?s)method 'gsa'.*got dense.*'rich'"),
        (("sharp", "dense"), {}, CubeError, r"cube 'dense'.*the bands of 'sharp'"),
        (("rich",), {"method": "gsa"}, ProblemError, r"(?s)method 'gsa'.*'sharp'"),
        (("rich",), {"method": "bicubik"}, MethodError, "Did you mean 'bicubic'"),
        (("rich",), {"sensors": {"shrap": "x"}}, PlanError, r"got 'shrap'.*\nDid you mean 'sharp'"),
        (("rich",), {"method": "bicubic", "dates": ["2031"]}, RecipeError, "none there"),
        (("rich",), {"method": "bicubic", "psf": "boxx"}, ProblemError, "got 'boxx'"),
        (("rich",), {"method": "bicubic", "device": "banana"}, PlanError, r"'device'.*got 'banana' \("),
        (("rich",), {"method": "bicubic", "device": "meta"}, PlanError, r"'device'.*got 'meta' \("),
        (("rich",), {"method": None}, MethodError, r"'method': expected a method.*got NoneType"),
    ],
)
def test_what_cannot_be_done_is_refused(cubes, roles, more, error, message):
    with pytest.raises(error, match=message):
        fuse(**{role: cubes[role] for role in roles}, **more)


def test_two_multispectral_series_are_fused_without_a_hyperspectral_one():
    problem = tiny_problem(size=48, dates=3, multispectral=True)
    names = [f"b{i}" for i in range(4)]
    seen = problem.observations
    two = {role: labelled(seen[role], role).assign_coords(band=names) for role in ("sharp", "dense")}
    made = fuse(**two, method={"name": "fitfc", "window": 9}, psf="gaussian")
    assert list(made["band"].values) == names
    np.testing.assert_array_equal(made["time"].values, DATES)
    wanted = by_tensors(two, FitFC(window=9)).full()
    np.testing.assert_allclose(made["reflectance"].values, wanted.numpy(), atol=2e-6)
    assert np.sqrt(np.mean((made["reflectance"].values - problem.truth.numpy()) ** 2)) < 0.01


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a real GPU to ask")
@pytest.mark.parametrize("method", ["bicubic", pytest.param("gsa", marks=pytest.mark.slow)])
def test_another_device_learns_and_answers_the_same(method):
    cubes = cubes_of(gaps=True)
    with pretended():
        there = fuse(**cubes, method=method, device=NAME)
    xr.testing.assert_allclose(there, fuse(**cubes, method=method), rtol=0, atol=1e-5)


def test_a_refusal_comes_before_the_work(cubes, monkeypatch):
    monkeypatch.setattr(Bicubic, "fuse", lambda *_: pytest.fail("worked"))
    with pytest.raises(RecipeError, match="none there"):
        fuse(rich=cubes["rich"], method="bicubic", dates=["2031"])


def test_all_faults_of_a_cube_are_told(cubes):
    silent = cubes["rich"].isel(time=[1, 0]).copy()
    silent[0, 0, 0, 0] = np.nan
    with pytest.raises(CubeError, match=r"(?s)cube 'rich'.*2 faults.*NaN") as caught:
        fuse(rich=silent, method="bicubic")
    assert "time" in caught.value.mend


def test_too_little_memory_is_refused(cubes, monkeypatch):
    monkeypatch.setattr(notebook.psutil, "virtual_memory", lambda: type("free", (), {"available": 10**6}))
    with pytest.raises(PlanError, match=r"fuse: expected at most 0.0 GiB.*\n.*\.isel"):
        fuse(**cubes, method="bicubic")


def test_it_is_the_packages_own_door():
    assert stsfusion.fuse is fuse


def test_a_band_that_was_never_seen_is_a_gap_and_the_others_are_not(cubes):
    rich = cubes["rich"].copy()
    rich[:, 4] = np.nan
    rich = rich.assign_coords(valid=rich.notnull())
    fused = stsfusion.fuse(**{**cubes, "rich": rich}, method="gsa").reflectance
    assert fused[:, 4].isnull().all()
    assert fused.drop_isel(band=4).notnull().all()
