"""Pictures: what they show is what the cubes hold, on one stretch, gaps as gaps."""

import io

import numpy as np
import pytest
import xarray as xr
from matplotlib.image import imread

from stsfusion.errors import CubeError
from stsfusion.views.composite import FALSE, SWIR, TRUE, choose, paint, stretch
from stsfusion.views.curves import score_curves
from stsfusion.views.maps import departures, valid_shares
from stsfusion.views.palette import png
from stsfusion.views.plots import figures, pick_dates, pick_points
from stsfusion.views.profiles import NDRE, NDVI, index, profiles
from stsfusion.views.quicklooks import quicklooks
from stsfusion.views.sampling import Point, prepare, spread, thin
from stsfusion.views.spectra import broken, spectra

NM = np.linspace(400, 2400, 41)
DAYS = np.array(["2021-12-13", "2022-01-20", "2022-02-25", "2022-03-24"], dtype="datetime64[ns]")


def cube(dates=4, nm=NM, size=24, seed=0, coords=True):
    """Smooth spectra that differ from place to place and grow with the dates."""
    rng = np.random.default_rng(seed)
    nm = np.asarray(nm, dtype=float)
    green = 0.05 + 0.4 / (1 + np.exp(-(nm - 720) / 25))
    share = rng.uniform(0.2, 1.0, (size, size))
    values = np.stack([(0.5 + 0.15 * t) * green[:, None, None] * share for t in range(dates)])
    array = xr.DataArray(
        values.astype("float32"),
        dims=("time", "band", "y", "x"),
        coords={"time": DAYS[:dates], "wavelength": ("band", nm)},
    )
    if not coords:
        return array
    return array.assign_coords(y=-(np.arange(size) + 0.5) * 10, x=(np.arange(size) + 0.5) * 10)


def coarse(array, ratio):
    return array.coarsen(y=ratio, x=ratio).mean()


@pytest.fixture(scope="module")
def cubes():
    truth = cube()
    few = [440, 490, 560, 660, 740, 835]
    noise = np.random.default_rng(1).normal(0, 0.01, truth.shape).astype("float32")
    return {
        "truth": truth,
        "rich": coarse(truth, 3).isel(time=[0, 2]),
        "sharp": truth.sel(band=[int(abs(NM - nm).argmin()) for nm in few]).isel(time=[0, 2]),
        "dense": coarse(truth.isel(band=[int(abs(NM - nm).argmin()) for nm in few]), 2),
        "fused": truth + noise,
    }


def pixels(picture):
    return imread(io.BytesIO(picture))[..., :3]


def is_blank(picture):
    return float(pixels(picture).std()) < 0.01


def test_every_picture_is_there_and_shows_something(cubes):
    pictures = figures(**cubes, simulated=True, sigma=cubes["fused"] * 0 + 0.01)
    assert [p.section for p in pictures] == (
        ["Quick looks"] * 3 + ["Spectra"] * 4 + ["Time profiles"] * 4 + ["Errors"] * 3
    )
    assert not any(is_blank(p.png) for p in pictures)
    assert all(p.title and p.caption for p in pictures)


def test_a_blank_sheet_counts_as_blank():
    from stsfusion.views.palette import sheet

    assert is_blank(png(sheet(2, 2)))


def test_equal_figures_give_equal_bytes(cubes):
    one = {"fused": cubes["fused"][:2]}
    assert png(quicklooks(prepare(one), TRUE)) == png(quicklooks(prepare(one), TRUE))


@pytest.mark.parametrize("roles", [("fused",), ("sharp",), ("rich", "dense", "fused")])
def test_roles_may_be_missing(cubes, roles):
    pictures = figures(**{role: cubes[role] for role in roles})
    assert pictures
    assert all(p.section != "Errors" for p in pictures)
    assert not any(is_blank(p.png) for p in pictures)


def test_nothing_gives_no_pictures():
    assert figures() == []


def test_one_date_without_coordinates_and_gaps_throughout():
    truth = cube(dates=1, coords=False)
    dense = coarse(cube(dates=1, coords=False, nm=[490, 560, 660, 835]), 2)
    dense[:] = np.nan
    pictures = figures(truth=truth, dense=dense, fused=truth * 1.1)
    assert {p.section for p in pictures} == {"Quick looks", "Spectra", "Time profiles", "Errors"}


def test_a_panchromatic_cube_is_grey_and_says_so():
    pan = cube(nm=[676])
    choice = choose(pan, TRUE)
    assert choice.bands == (0, 0, 0)
    assert choice.words == "grey: 676 nm"
    assert not choice.exact
    colours = paint(pan[0], choice, stretch(cube(), choice.wavelengths))
    assert np.array_equal(colours[..., 0], colours[..., 2])
    assert figures(fused=pan)


def test_bands_are_found_by_wavelength_whatever_their_order():
    shuffled = cube(nm=[835, 482, 2200, 654, 559, 1650])
    assert choose(shuffled, TRUE).bands == (3, 4, 1)
    assert choose(shuffled, FALSE).bands == (0, 3, 4)
    assert choose(shuffled, SWIR).bands == (2, 5, 0)
    assert choose(shuffled, SWIR).exact
    far = choose(cube(nm=[700, 600, 482]), TRUE)
    assert far.words == "shown: 700, 600, 482 nm"


def test_short_wave_infrared_leaves_out_what_has_no_such_bands(cubes):
    ready = prepare(cubes)
    figure = quicklooks(ready, SWIR)
    assert len(figure.axes) == 3 * 4
    assert quicklooks({"dense": ready["dense"]}, SWIR) is None


def test_one_stretch_for_all_dates_and_roles(cubes):
    same = {"truth": cubes["truth"], "fused": cubes["truth"] * 1.0}
    axes = np.array(quicklooks(prepare(same), TRUE).axes).reshape(2, 4)
    shown = [[cell.images[0].get_array() for cell in row] for row in axes]
    for above, below in zip(*shown, strict=True):
        np.testing.assert_array_equal(above, below)
    brightness = [float(image.mean()) for image in shown[0]]
    assert brightness == sorted(brightness)
    assert brightness[-1] > brightness[0] + 0.05


def test_a_stretch_for_each_picture_would_be_seen(cubes):
    """The twin of the test above: stretched by its own values, every date looks alike."""
    truth = cubes["truth"]
    choice = choose(truth, TRUE)
    own = [paint(truth[i], choice, stretch(truth[i : i + 1], choice.wavelengths)).mean() for i in (0, 3)]
    assert own[1] < own[0] + 0.05


def test_stretch_is_the_2nd_and_98th_percentile():
    truth = cube(size=12)
    low, high = stretch(truth, (654.0,))[0]
    values = truth.isel(band=int(abs(NM - 654).argmin())).values
    np.testing.assert_allclose([low, high], np.percentile(values.astype(float), [2, 98]), rtol=1e-6)


def test_what_was_not_observed_is_an_empty_cell_that_says_so(cubes):
    rich = cubes["rich"].copy()
    rich[1] = np.nan
    axes = np.array(quicklooks(prepare({**cubes, "rich": rich}), TRUE).axes).reshape(5, 4)
    words = [[text.get_text() for text in cell.texts] for cell in axes[1]]
    assert words == [[], ["not\nobserved"], ["no\nvalid pixel"], ["not\nobserved"]]
    assert [len(cell.images) for cell in axes[1]] == [1, 0, 0, 0]


def test_dates_that_were_not_fused_were_not_asked_for(cubes):
    axes = np.array(quicklooks(prepare({**cubes, "fused": cubes["fused"][1:]}), TRUE).axes).reshape(5, 4)
    assert [[text.get_text() for text in cell.texts] for cell in axes[4]] == [["not\nasked for"], [], [], []]


def test_names_of_rows_lie_on_the_sheet():
    tall = cube(dates=2, size=36).isel(x=slice(30))
    figure = quicklooks(prepare({"rich": tall[:1], "sharp": tall[:1], "dense": tall[1:]}), TRUE)
    png(figure)
    names = [axes.yaxis.label for axes in figure.axes if axes.get_ylabel()]
    assert len(names) == 3
    assert min(name.get_window_extent().x0 for name in names) >= 0


@pytest.mark.parametrize("first", [0, 2])
def test_a_panel_of_one_date_does_not_cut_its_neighbours(first):
    truth, dense = cube(dates=1, nm=[656, 740, 835]), cube(nm=[656, 835])[first:]
    figure = profiles(prepare({"truth": truth, "dense": dense}), Point("A", -55.0, 55.0))
    assert [len(axes.lines) for axes in figure.axes] == [2, 1]
    low, high = figure.axes[-1].get_xlim()
    assert low < DAYS[0].astype("datetime64[D]").astype(float)
    assert high > DAYS[3].astype("datetime64[D]").astype(float)


def test_gaps_take_the_colour_of_the_sheet():
    truth = cube()
    truth[0, :, 3, 4] = np.nan
    colours = paint(truth[0], choose(truth, TRUE), stretch(truth, TRUE.wavelengths))
    np.testing.assert_allclose(colours[3, 4], [0xF1 / 255, 0xF3 / 255, 0xF6 / 255])
    assert np.isfinite(colours).all()


def test_the_valid_coordinate_makes_gaps():
    truth = cube()
    valid = np.ones(truth.shape, dtype=bool)
    valid[:, :, :12] = False
    ready = prepare({"fused": truth.assign_coords(valid=(truth.dims, valid))})
    np.testing.assert_allclose(valid_shares(ready)[1], 0.5)


def test_valid_shares_tell_gaps_from_what_was_not_observed(cubes):
    dense = cubes["dense"].copy()
    dense[3, :, :6] = np.nan
    days, shares = valid_shares(prepare({"rich": cubes["rich"], "dense": dense}))
    np.testing.assert_array_equal(days, DAYS.astype("datetime64[D]"))
    np.testing.assert_array_equal(shares, [[1, np.nan, 1, np.nan], [1, 1, 1, 0.5]])


def test_lines_are_sorted_and_open_at_the_water_bands():
    order = np.random.default_rng(0).permutation(NM.size)
    nm, values = broken(NM[order], (NM / 1000)[order])
    assert (np.diff(nm) > 0).all()
    assert np.isnan(values[(nm >= 1350) & (nm <= 1430)]).all()
    assert np.isnan(values[(nm >= 1800) & (nm <= 1950)]).all()
    np.testing.assert_allclose(values[np.isfinite(values)], nm[np.isfinite(values)] / 1000)
    nm, values = broken(np.array([400.0, 410, 420, 900, 910]), np.ones(5))
    assert np.isnan(values[nm == 660]).all()
    assert values.size == 6


def test_sigma_is_drawn_where_it_is_given(cubes):
    ready = prepare(cubes)
    point = pick_points(ready["truth"])[0]
    days = list(pick_dates(ready))
    plain = spectra(ready, point, days)
    with_sigma = spectra(ready, point, days, sigma=ready["fused"] * 0 + 0.02)
    assert sum(len(axes.collections) for axes in plain.axes) == 0
    assert all(len(axes.collections) == 1 for axes in with_sigma.axes)


def test_the_telling_days_are_one_that_rich_saw_and_one_it_missed(cubes):
    days = pick_dates(prepare(cubes)).astype(str)
    assert list(days) == ["2022-01-20", "2022-02-25"], "36 days from any, not 27"


def test_indices_are_normalised_differences_of_near_bands():
    near = cube(nm=[656, 740, 835])
    red, edge, infrared = (near.values[:, i].astype(float) for i in range(3))
    np.testing.assert_allclose(index(near, NDVI), (infrared - red) / (infrared + red), rtol=1e-6)
    np.testing.assert_allclose(index(near, NDRE), (infrared - edge) / (infrared + edge), rtol=1e-6)
    assert index(cube(nm=[656, 730, 835]), NDRE) is None
    assert index(cube(nm=[676]), NDVI) is None
    assert np.isnan(index(near * 0, NDVI)).all()


def test_errors_agree_with_plain_formulas(cubes):
    truth, fused = cubes["truth"], cubes["fused"].copy()
    fused[1, :, 0, 0] = np.nan
    errors = departures(truth, fused)
    a, b = (c.values.astype(float) for c in (truth, fused))
    np.testing.assert_allclose(errors.rmse[2], np.sqrt(((a - b)[2] ** 2).mean(0)), rtol=1e-6)
    np.testing.assert_allclose(errors.by_band[2], np.sqrt(((a - b)[2] ** 2).mean((1, 2))), rtol=1e-6)
    u, v = a[2, :, 5, 7], b[2, :, 5, 7]
    angle = np.degrees(np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v)))
    np.testing.assert_allclose(errors.sam[2, 5, 7], angle, rtol=1e-6)
    correlation = np.corrcoef(a[2, 9].ravel(), b[2, 9].ravel())[0, 1]
    np.testing.assert_allclose(errors.correlation[2, 9], correlation, rtol=1e-6)
    assert np.isnan(errors.rmse[1, 0, 0])
    assert np.isnan(errors.sam[1, 0, 0])
    assert np.isfinite(errors.by_band).all()


def test_errors_are_only_told_where_cubes_fit(cubes):
    with pytest.raises(CubeError, match="like the truth"):
        departures(cubes["truth"], cubes["rich"])
    with pytest.raises(CubeError, match="in common"):
        departures(cubes["truth"][:2], cubes["fused"][2:])


@pytest.mark.parametrize(
    "bad, words",
    [
        ({"fused": np.zeros(3)}, "a DataArray"),
        ({"fused": cube().isel(time=0)}, "dims"),
        ({"fused": cube().drop_vars("wavelength")}, "'wavelength'"),
        ({"coarse": cube()}, "a role of"),
    ],
)
def test_what_is_no_cube_is_refused(bad, words):
    with pytest.raises(CubeError, match=words):
        prepare(bad)


def test_large_scenes_and_long_series_are_thinned():
    assert thin(cube(size=24), 10).sizes["y"] == 8
    days = np.arange("2021-01-01", "2021-03-01", dtype="datetime64[D]")
    chosen = spread(days, 8)
    assert chosen.size == 8
    assert chosen[0] == days[0]
    assert chosen[-1] == days[-1]


def test_few_days_of_one_kind_are_not_lost_among_many_of_the_other():
    days = np.arange("2021-01-01", "2021-03-01", dtype="datetime64[D]")
    gaps = ~np.isin(np.arange(days.size), [7, 22])
    chosen = spread(days, 8, gaps)
    assert chosen.size == 8
    assert set(days[~gaps]) <= set(chosen)
    assert (np.diff(chosen).astype(int) > 0).all()


def test_points_lie_in_the_scene_and_differ():
    points = pick_points(cube())
    assert len({(p.y, p.x) for p in points}) == 3
    assert all(-240 < p.y < 0 < p.x < 240 for p in points)


def test_names_from_outside_are_never_read_as_mathematics():
    days = DAYS.astype("datetime64[D]")
    figure = score_curves(days, {"$\\frac{": [1, 2, np.nan, 3]}, np.zeros(4, bool), label="SAM (degrees)")
    assert not is_blank(png(figure))
