"""The recipe for one hyperspectral and one multispectral cube of a user's own, of many kinds."""

import json
import re
import warnings

import numpy as np
import pytest
import xarray as xr
from large_scene import CENTRES, WIDTHS, LargeScene
from small_project import here

from stsfusion.window import Window

CHEAP = ("fuse.method.experts=4", "fuse.method.rank=8", "fuse.executor=inline", "report.pictures=false")
CHEAP += ("evaluate.compare=[bicubic]", "fuse.tile=48", "fit.size=48")


def cube(values, nm, fwhm, pixel, days=1, first="2024-06-01"):
    """(time, band, y, x) reflectance on a local grid."""
    rows, cols = values.shape[2:]
    coords = {
        "time": np.datetime64(first, "ns") + np.arange(days) * np.timedelta64(10, "D"),
        "wavelength": ("band", np.asarray(nm, float), {"units": "nm"}),
        "y": (rows - 0.5 - np.arange(rows)) * pixel,
        "x": (np.arange(cols) + 0.5) * pixel,
    }
    if fwhm is not None:
        coords["fwhm"] = ("band", np.asarray(fwhm, float), {"units": "nm"})
    return xr.DataArray(values.astype("float32"), dims=("time", "band", "y", "x"), coords=coords)


def scene(size=96, ratio=4, bands=40, days=1, centres=CENTRES, widths=WIDTHS):
    """A hyperspectral and a multispectral cube, and the truth (band, y, x) of the first date."""
    own = LargeScene(size, bands=bands, materials=6, ratio=ratio)
    window = Window((0, 1), (0, size), (0, size))
    light = np.linspace(1.0, 0.8, days)[:, None, None, None]
    rich, sharp = (
        own.seen(role, w)[None] for role, w in (("rich", window.coarsen(ratio)), ("sharp", window))
    )
    keep = [CENTRES.index(c) if c in CENTRES else 0 for c in centres]
    fine = cube(light * sharp[:, keep], centres, widths, 10.0, days)
    return cube(light * rich, own.nm, None, 10.0 * ratio, days), fine, own.truth((0, size), (0, size))


def run(folder, rich, sharp, *settings, code=0):
    """Write both, run the recipe as a user would, and open what was published."""
    for role, each in (("rich", rich), ("sharp", sharp)):
        each.to_dataset(name="reflectance").to_netcdf(
            folder / f"{role}.nc", engine="h5netcdf", encoding={"reflectance": {"_FillValue": -9.0}}
        )
    said = (*CHEAP, f"cubes.rich={folder}/rich.nc", f"cubes.sharp={folder}/sharp.nc", f"output={folder}/out")
    done = here("run", "hsi-msi", "-q", *(word for text in (*said, *settings) for word in ("--set", text)))
    assert done.exit_code == code, done.stderr
    return xr.open_zarr(folder / "out" / "fused.zarr") if code == 0 else done


@pytest.fixture(scope="module")
def pair():
    return scene()


@pytest.fixture(scope="module")
def fused(pair, tmp_path_factory):
    rich, sharp, _ = pair
    folder = tmp_path_factory.mktemp("pair")
    return folder / "out", run(folder, rich, sharp)


def rmse(a, b):
    return float(np.sqrt(np.mean((np.asarray(a) - np.asarray(b)) ** 2)))


# ---------------------------------------------------------------- what comes out


def test_bands_of_the_one_on_pixels_of_the_other(pair, fused):
    rich, sharp, truth = pair
    _, series = fused
    assert dict(series.sizes) == {"time": 1, "band": 40, "y": 96, "x": 96}
    np.testing.assert_allclose(series.wavelength, rich.wavelength)
    np.testing.assert_allclose(series.x, sharp.x)
    blocks = np.repeat(np.repeat(rich.values[0], 4, 1), 4, 2)
    assert rmse(series.reflectance[0], truth) < 0.5 * rmse(blocks, truth)


def test_sigma_and_quality_are_published_and_honest(pair, fused):
    _, _, truth = pair
    _, series = fused
    sigma, error = series.sigma[0].values, np.abs(series.reflectance[0].values - truth)
    assert np.isfinite(sigma).all()
    assert 0.75 < (error <= 1.645 * sigma).mean() < 0.99
    assert set(np.unique(series.qa)) == {1}


def test_the_report_has_scores_one_scale_coarser(fused):
    out, _ = fused
    scores = json.loads((out / "scores.json").read_text())
    rows = {row["method"]: row for row in scores["rows"] if row["subset"] == "coarser"}
    assert {row["subset"] for row in scores["rows"]} == {"coarser", "coarser/vnir", "coarser/swir"}
    assert list(rows) == ["mixreg", "bicubic"]
    assert rows["mixreg"]["psnr"] > rows["bicubic"]["psnr"] + 3
    assert 0.5 < rows["mixreg"]["coverage90"] <= 1
    assert rows["bicubic"]["coverage90"] is None
    assert {row["role"] for row in scores["without_truth"]} == {"rich", "sharp"}
    page = (out / "report.html").read_text()
    assert "one scale coarser, where the hyperspectral image is the truth" in page
    assert "in 90 %" in page


# ---------------------------------------------------------------- what users have


CUBES = {
    "panchromatic, ratio 5": {"centres": (560.0,), "widths": (280.0,), "ratio": 5, "size": 60},
    "two dates, ratio 2": {"days": 2, "ratio": 2, "size": 48},
}


@pytest.mark.parametrize("case", CUBES)
def test_pairs_of_all_kinds_are_fused(tmp_path, case):
    rich, sharp, _ = scene(**CUBES[case])
    series = run(tmp_path, rich, sharp, f"fuse.tile={CUBES[case]['size']}", "evaluate.coarser=false")
    assert series.sizes["time"] == CUBES[case].get("days", 1)
    assert np.isfinite(series.reflectance).all()
    assert np.isfinite(series.sigma).all()


def test_bands_outside_the_hyperspectral_range_are_told_and_used(tmp_path):
    rich, sharp, _ = scene(size=48)
    short = rich.isel(band=rich.wavelength < 1000)
    with pytest.warns(UserWarning, match=r"bands 7, 8 of cube 'sharp' look where .* \(400 to 989 nm\)"):
        series = run(tmp_path, short, sharp, "evaluate.coarser=false")
    assert np.isfinite(series.reflectance).all()
    rows = json.loads((tmp_path / "out" / "scores.json").read_text())["without_truth"]
    assert {row["role"]: row["valid"] for row in rows} == {"rich": 1.0, "sharp": 6 / 8}
    assert all(row["rmse"] < 0.02 for row in rows)


def test_gaps_at_the_edges_stay_gaps(tmp_path):
    rich, sharp, _ = scene(size=48)
    rich[:, :, :, :4] = np.nan
    sharp[:, :, :10] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        series = run(tmp_path, rich, sharp, "evaluate.coarser=false")
    known = series.valid[0].values.astype(bool)
    assert not known[:, :8].any()
    assert known[:, 16:].all()
    assert np.isfinite(series.reflectance.values[0][:, known if known.ndim == 2 else known[0]]).all()


# ---------------------------------------------------------------- what is missing


def test_without_cubes_it_says_what_to_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = here("run", "hsi-msi")
    assert done.exit_code == 2
    assert "--set cubes.rich=FILE --set cubes.sharp=FILE" in done.stderr.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def test_with_one_of_them_it_says_which_is_missing(tmp_path, pair):
    rich, sharp, _ = pair
    done = run(tmp_path, rich, sharp, "cubes.sharp=null", code=2)
    assert "'mixreg': expected cubes for the roles rich, sharp, got rich" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_band_without_a_width_asks_for_one(tmp_path, pair):
    rich, sharp, _ = pair
    done = run(tmp_path, rich, sharp.drop_vars("fwhm"), code=2)
    assert "or give the cube a coordinate 'fwhm'" in done.stderr.replace("\n", " ")


def test_the_plan_keeps_to_the_memory_that_the_method_asks_for(tmp_path):
    rich, sharp, _ = scene(size=48)
    done = run(tmp_path, rich, sharp, "fuse.budget=525 MB", code=2)
    assert "times the tile's target of 1 dates × 40 bands" in done.stderr
    assert "'budget:'" in done.stderr


def test_tiles_are_as_large_as_the_budget_allows(tmp_path):
    rich, sharp, _ = scene(size=96)
    small = ("fuse.shard=24", "fuse.tile=null")
    refused = run(tmp_path, rich, sharp, *small, "fuse.budget=null", code=2)
    assert "a 'budget:', so that the tiles are the same in every run" in " ".join(refused.stderr.split())
    sides = []
    for budget in ("542 MB", "4 GB"):
        said = (*small, f"cubes.rich={tmp_path}/rich.nc", f"cubes.sharp={tmp_path}/sharp.nc")
        words = [word for text in (*CHEAP, *said, f"fuse.budget={budget}") for word in ("--set", text)]
        planned = here("run", "hsi-msi", "--dry-run", *words)
        assert planned.exit_code == 0, planned.stderr
        sides.append(int(re.search(r"tiles +\d+ of (\d+)", planned.stdout + planned.stderr)[1]))
    assert sides[0] < sides[1]
    assert sides[-1] == 96
