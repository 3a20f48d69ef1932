"""Cubes and instruments fitted together: dates, grids, bands, point spread and noise."""

from __future__ import annotations

import numpy as np
import pytest
from xarray import DataArray

from stsfusion.cube.georeference import axes_of
from stsfusion.cube.grid import Grid
from stsfusion.errors import CubeError, PlanError, ProblemError, RecipeError, SensorError
from stsfusion.operators.blur import gaussian_kernel, mtf_kernel
from stsfusion.pipeline.assemble import assemble, chosen_dates
from stsfusion.pipeline.sections import Roles, RoleSpec
from stsfusion.sensing.sensor import load_sensor

NM = np.linspace(400.0, 1060.0, 67)
BASE = Grid((48, 60), 10.0, (398000.0, 4420000.0), "EPSG:32650")
VNIC, WFV = ("B02", "B03", "B04"), ("B1", "B2", "B4")


def coarse(ratio, **changes):
    rows, cols = (size // ratio for size in BASE.shape)
    return Grid(
        **{"shape": (rows, cols), "pixel": 10.0 * ratio, "origin": BASE.origin, "crs": BASE.crs} | changes
    )


def cube(grid, times, bands=None, nm=None, fwhm=None):
    """Labels alone matter here."""
    nm = NM if nm is None else np.asarray(nm, float)
    bands = [f"h{i}" for i in range(len(nm))] if bands is None else list(bands)
    coords = {
        **axes_of(grid),
        "time": np.array(times, "datetime64[ns]"),
        "band": bands,
        "wavelength": ("band", nm),
    }
    if fwhm is not None:
        coords["fwhm"] = ("band", np.broadcast_to(fwhm, nm.shape).astype(float))
    shape = (len(times), len(bands), *grid.shape)
    return DataArray(np.zeros(shape, np.float32), dims=("time", "band", "y", "x"), coords=coords)


def rich(times=("2021-12-13T03:10", "2022-02-13"), **more):
    return cube(coarse(3), times, fwhm=10.0, **more)


def sharp(times=("2021-12-13T03:11",), **more):
    return cube(BASE, times, **{"bands": VNIC, "nm": [486.5, 564.5, 664.5]} | more)


def dense(times=("2021-12-13T02:50", "2022-01-05T02:50", "2022-02-13T02:55"), **more):
    return cube(coarse(2), times, **{"bands": WFV, "nm": [488.2, 557.7, 826.1]} | more)


VNIC_KNOWN = RoleSpec(sensor="zy1-02d-vnic", known=True)
ROLES = Roles(
    sharp=VNIC_KNOWN,
    dense=RoleSpec(sensor="gf6-wfv", psf="gaussian", known=True),
    rich=RoleSpec(psf="box"),
)


@pytest.fixture(scope="module")
def assembly():
    return assemble({"rich": rich(), "sharp": sharp(), "dense": dense()}, ROLES)


def of(assembly, role):
    return next(source for source in assembly.sources if source.role == role)


# ---------------------------------------------------------------- dates


def test_dates_are_united_by_their_day_in_utc(assembly):
    assert [str(time)[:16] for time in assembly.times] == [
        "2021-12-13T02:50",
        "2022-01-05T02:50",
        "2022-02-13T02:55",
    ]
    assert {source.role: source.dates for source in assembly.sources} == {
        "rich": (0, 2),
        "sharp": (0,),
        "dense": (0, 1, 2),
    }
    hours = (assembly.times - assembly.times[0]) / np.timedelta64(1, "h")
    np.testing.assert_allclose(assembly.target.days.numpy(), hours / 24)


def test_a_date_that_only_one_sensor_saw_is_the_targets_too():
    found = assemble({"rich": rich(("2022-01-20",)), "sharp": sharp(), "dense": dense()}, ROLES)
    assert of(found, "rich").dates == (2,)
    assert of(found, "dense").dates == (0, 1, 3)
    assert found.published == (0, 1, 3)


def test_roles_that_midnight_alone_parts_are_told():
    late = sharp(times=("2021-12-12T23:30", "2022-01-05T02:50"))
    with pytest.warns(UserWarning, match=r"'rich' and 'sharp' .*2021-12-13T03:10 and 2021-12-12T23:30"):
        assemble({"rich": rich(), "sharp": late}, ROLES)


@pytest.mark.parametrize(
    "times", [("2021-12-12T23:30", "2022-02-13T03:00"), ("2021-12-12T15:10",), ("2022-01-05",)]
)
def test_shared_days_and_days_apart_are_no_reason_to_warn(times):
    assert len(assemble({"rich": rich(), "sharp": sharp(times=times)}, ROLES).times) == 3


def test_without_a_dense_sensor_every_date_is_published():
    found = assemble({"rich": rich(), "sharp": sharp(("2021-12-14",))}, ROLES)
    assert found.published == (0, 1, 2)


def test_two_images_on_one_day_are_refused():
    twice = dense(("2021-12-13T02:50", "2021-12-13T23:59", "2022-02-13"))
    with pytest.raises(CubeError, match=r"cube 'dense': expected one image a day, got two on 2021-12-13"):
        assemble({"rich": rich(), "sharp": sharp(), "dense": twice}, ROLES)
    midnight = dense(("2021-12-13T23:59", "2021-12-14T00:01", "2022-02-13"))
    assert len(assemble({"rich": rich(), "sharp": sharp(), "dense": midnight}, ROLES).times) == 3


# ---------------------------------------------------------------- grids


def test_ratios_follow_from_the_grids(assembly):
    assert {source.role: source.ratio for source in assembly.sources} == {"rich": 3, "sharp": 1, "dense": 2}
    assert assembly.grid == BASE
    assert assembly.target.shape == (3, 67, 48, 60)


def test_the_finest_grid_is_the_targets_whoever_has_it():
    found = assemble({"rich": rich()}, Roles())
    assert found.grid == coarse(3)
    assert of(found, "rich").ratio == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pixel": 25.0}, "ratio not an integer"),
        ({"crs": "EPSG:32651"}, "other CRS"),
        ({"origin": (398004.0, 4420000.0)}, "not aligned"),
        ({"shape": (23, 30)}, "other extent"),
    ],
)
def test_grids_that_do_not_nest_are_refused_with_the_reason(change, reason):
    crooked = cube(coarse(2, **change), ("2021-12-13",), WFV, [488.2, 557.7, 826.1])
    with pytest.raises(CubeError, match=reason):
        assemble({"rich": rich(), "sharp": sharp(), "dense": crooked}, ROLES)


# ---------------------------------------------------------------- bands


def test_responses_are_the_sensors_by_the_bands_names(assembly):
    expected = load_sensor("zy1-02d-vnic").response(VNIC).matrix(NM, np.full(67, 10.0))
    np.testing.assert_allclose(of(assembly, "sharp").spectral, expected)
    assert of(assembly, "dense").spectral.shape == (3, 67)
    assert of(assembly, "rich").spectral is None


def test_the_order_of_bands_is_the_cubes():
    turned = sharp(bands=VNIC[::-1], nm=[664.5, 564.5, 486.5])
    found, straight = (
        of(assemble({"rich": rich(), "sharp": each}, ROLES), "sharp").spectral for each in (turned, sharp())
    )
    np.testing.assert_array_equal(found, straight[::-1])


def test_without_an_instrument_bands_are_gaussians_of_their_width():
    own = sharp(nm=[500.0, 600.0, 700.0], fwhm=60.0)
    matrix = of(assemble({"rich": rich(), "sharp": own}, Roles(sharp=RoleSpec(known=True))), "sharp").spectral
    for row, centre in zip(matrix, (500.0, 600.0, 700.0), strict=True):
        expected = np.exp2(-((2 * (NM - centre) / 60.0) ** 2))
        np.testing.assert_allclose(row, expected / expected.sum(), atol=4e-3)
    np.testing.assert_allclose(matrix.sum(1), 1.0)


def test_neither_instrument_nor_width_is_refused():
    with pytest.raises(RecipeError, match=r"role 'sharp': expected an instrument.*\n.*'roles: \{sharp: …\}'"):
        assemble({"rich": rich(), "sharp": sharp()}, Roles())


def test_bands_that_are_not_the_sensors_are_named():
    with pytest.raises(SensorError, match="X9"):
        assemble({"rich": rich(), "sharp": sharp(bands=("B02", "X9", "B04"))}, ROLES)


def test_bands_that_no_wavelength_covers_are_named():
    short = cube(coarse(3), ("2021-12-13",), nm=np.linspace(400, 600, 21), fwhm=10.0)
    with pytest.raises(SensorError, match="B04"):
        assemble({"rich": short, "sharp": sharp()}, ROLES)


def test_a_nominal_response_says_where_a_band_looks_and_no_more():
    own = sharp(nm=[500.0, 600.0, 700.0], fwhm=60.0)
    matrix = of(assemble({"rich": rich(), "sharp": own}, Roles()), "sharp").spectral
    for row, centre in zip(matrix, (500.0, 600.0, 700.0), strict=True):
        assert NM[row > 0].tolist() == NM[np.abs(NM - centre) <= 60.0].tolist()
    np.testing.assert_allclose(matrix.sum(1), 1.0)


def test_an_instruments_nominal_response_has_no_tails():
    nominal = Roles(sharp=RoleSpec(sensor="zy1-02d-vnic", known=False))
    full, cut = (
        of(assemble({"rich": rich(), "sharp": sharp()}, roles), "sharp").spectral
        for roles in (ROLES, nominal)
    )
    kept = full >= 0.01 * full.max(1, keepdims=True)
    assert ((cut > 0) == kept).all()
    np.testing.assert_allclose(cut, kept * full / (kept * full).sum(1, keepdims=True))


def test_a_nominal_band_outside_the_wavelengths_looks_at_nothing_and_is_told():
    short = cube(coarse(3), ("2021-12-13",), nm=np.linspace(400, 600, 21), fwhm=10.0)
    with pytest.warns(UserWarning, match=r"bands B04 of cube 'sharp' look where .* \(400 to 600 nm\)"):
        found = assemble({"rich": short, "sharp": sharp()}, Roles(sharp="zy1-02d-vnic"))
    assert (of(found, "sharp").spectral > 0).any(1).tolist() == [True, True, False]


# ---------------------------------------------------------------- point spread and noise


def test_point_spread_functions_are_those_of_the_roles(assembly):
    vnic = load_sensor("zy1-02d-vnic")
    np.testing.assert_allclose(of(assembly, "sharp").kernel, mtf_kernel(vnic.optics.mtf, 1).numpy())
    np.testing.assert_allclose(of(assembly, "dense").kernel, gaussian_kernel(2, 2).numpy())
    np.testing.assert_allclose(of(assembly, "rich").kernel, np.full((3, 3), 1 / 9))


def test_named_kernels_do_not_blur_the_finest_grid():
    plain = Roles(sharp=RoleSpec(sensor="zy1-02d-vnic", psf="gaussian"))
    assert of(assemble({"rich": rich(), "sharp": sharp()}, plain), "sharp").kernel.tolist() == [[1.0]]


@pytest.mark.parametrize("role", ["rich", "sharp"])
def test_a_misspelt_point_spread_function_is_refused_on_every_grid(role):
    roles = Roles(**{"sharp": "zy1-02d-vnic", role: RoleSpec(sensor=None, psf="gausian")})
    with pytest.raises(ProblemError, match=r"got 'gausian'.*\n.*'gaussian'"):
        assemble({"rich": rich(), "sharp": sharp(fwhm=60.0)}, roles)


def test_noise_is_the_cubes_own_else_the_sensors_else_unknown(assembly):
    np.testing.assert_allclose(of(assembly, "sharp").noise, [0.002] * 3)
    assert of(assembly, "rich").noise is None
    stated = sharp().assign_attrs(noise=[0.01, 0.02, 0.03])
    found = of(assemble({"rich": rich(), "sharp": stated}, ROLES), "sharp").noise
    assert found.tolist() == [0.01, 0.02, 0.03]
    wrong = sharp().assign_attrs(noise=[0.01])
    assert of(assemble({"rich": rich(), "sharp": wrong}, ROLES), "sharp").noise.tolist() == [0.002] * 3


@pytest.mark.parametrize(
    ("said", "simulated", "known"),
    [(None, False, False), (None, True, True), (False, True, False), (True, False, True)],
)
def test_a_users_own_images_are_nominal_unless_said_otherwise(said, simulated, known):
    cubes = {"rich": rich().assign_attrs(simulated=simulated), "sharp": sharp(fwhm=60.0)}
    assert of(assemble(cubes, Roles(rich=RoleSpec(known=said))), "rich").known == known


def test_labels_of_the_target_are_the_rich_cubes(assembly):
    assert assembly.names == tuple(f"h{i}" for i in range(67))
    np.testing.assert_array_equal(assembly.target.wavelengths.numpy(), NM)
    np.testing.assert_array_equal(assembly.fwhm, np.full(67, 10.0))


def test_a_cube_that_leads_is_asked_for():
    with pytest.raises(PlanError, match=r"role 'rich'.*or for 'sharp'.*got none"):
        assemble({}, ROLES)


def test_a_dense_cube_alone_leads():
    alone = dense()
    found = assemble({"dense": alone}, ROLES)
    assert (found.lead, found.names) == ("dense", tuple(alone["band"].values))
    assert of(found, "dense").spectral is None


def test_without_a_hyperspectral_cube_the_sharp_one_leads():
    fine = sharp()
    alike = dense().isel(band=slice(0, 3)).assign_coords(band=fine["band"].values)
    alike = alike.assign_coords(wavelength=("band", fine["wavelength"].values, {"units": "nm"}))
    found = assemble({"sharp": fine, "dense": alike}, ROLES)
    assert (found.lead, found.names) == ("sharp", tuple(fine["band"].values))
    np.testing.assert_array_equal(found.target.wavelengths.numpy(), fine["wavelength"].values)
    assert all(of(found, role).spectral is None for role in ("sharp", "dense"))


def test_bands_of_one_name_that_look_elsewhere_are_not_the_same():
    fine = sharp()
    alike = dense().isel(band=slice(0, 3)).assign_coords(band=fine["band"].values)
    nm = np.add(fine["wavelength"].values, [0.0, 20.0, 900.0])
    far = alike.assign_coords(wavelength=("band", nm, {"units": "nm"}))
    with pytest.raises(CubeError, match=r"(?s)cube 'dense', band B04: .*of the band of 'sharp'.*1564.5 nm"):
        assemble({"sharp": fine, "dense": far}, ROLES)


def test_a_dense_cube_of_other_bands_cannot_follow_the_sharp_one():
    with pytest.raises(CubeError, match=r"(?s)cube 'dense': expected the bands of 'sharp'.*rename"):
        assemble({"sharp": sharp(), "dense": dense()}, ROLES)


# ---------------------------------------------------------------- dates that are asked for


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (None, (0, 1, 2)),
        ((), (0, 1, 2)),
        (["2022-01-05"], (1,)),
        (["2022"], (1, 2)),
        (["2021-12/2022-01"], (0, 1)),
        (["2022-02-13", "2021-12"], (0, 2)),
        (["2022-01-05/2022-02-13"], (1, 2)),
        (["2022-01-05", "2022-01"], (1,)),
    ],
)
def test_dates_are_chosen_by_day_month_and_span(assembly, asked, chosen):
    assert chosen_dates(assembly, asked) == chosen


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2023-01", r"dates '2023-01'.*none there\.\nThere are: 2021-12-13, 2022-01-05, 2022-02-13"),
        ("2022-02/2021-12", "none there"),
        ("yesterday", r"dates 'yesterday': expected YYYY-MM-DD.*\nWrite 2021-12-13"),
        ("2021-13-01", "expected YYYY-MM-DD"),
        ("", "expected YYYY-MM-DD"),
        ("/2022", "expected YYYY-MM-DD"),
    ],
)
def test_dates_that_nobody_saw_are_refused(assembly, text, message):
    with pytest.raises(RecipeError, match=message):
        chosen_dates(assembly, [text])
