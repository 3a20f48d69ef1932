"""A compact series gives back what a full one would: all bands, within half a step, and only where asked."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import stsfusion
from stsfusion.cube import compact
from stsfusion.cube.anchors import Anchors
from stsfusion.cube.compact import COUNTS, pack_maps
from stsfusion.cube.enlarge import enlarge, needed
from stsfusion.cube.factors import BOUND, Factors, sizes_of
from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.cube.verification import verify
from stsfusion.errors import StoreError
from stsfusion.operators.resample import Upsample
from stsfusion.window import Window

TIME, RANK, BAND, SIDE = 2, 5, 12, 48
_DAY = 86_400_000


class Series:
    """Random maps and spectra, and what they expand to by the formula, in float64."""

    def __init__(self, seed=0, ratio=None, anchors=None, spread=0.3):
        rng = np.random.default_rng(seed)
        self.basis = rng.normal(size=(RANK, BAND)) * 10.0 ** rng.uniform(-3, 3, (RANK, 1))
        self.mean = rng.random(BAND)
        self.factors = Factors.of(self.basis, self.mean, ratio, anchors)
        sizes = sizes_of(self.basis)[:, None, None]
        self.maps = rng.normal(size=(TIME, RANK, SIDE, SIDE)) * spread
        self.maps[0, 0, 0, :3] = 4.0, -4.0, 70.0
        self.valid = rng.random((TIME, SIDE, SIDE)) > 0.1
        self.valid[0, 0, :3] = True
        self.full = np.einsum("tkyx,kb->tbyx", self.maps / sizes, self.basis) + self.mean[:, None, None]
        self.residual = None
        if ratio:
            self.residual = 0.02 * rng.normal(size=(TIME, BAND, SIDE // ratio, SIDE // ratio))
            self.full = self.full + larger(self.residual, ratio)
        self.full = np.clip(self.full, -3.2767, 3.2767)

    def spec(self, **more):
        names = tuple(f"b{i}" for i in range(BAND))
        nm = tuple(400.0 + 50 * i for i in range(BAND))
        grid = Grid((SIDE, SIDE), 10.0, (398000.0, 4420000.0), "EPSG:32650")
        return CubeSpec(grid, (0, _DAY), names, nm, shard=24, inner=12, **{"factors": self.factors, **more})

    def write(self, path, **more):
        store, spec = CubeStore(path), self.spec(**more)
        store.create("", spec)
        for window in spec.shards():
            self.shard(store, window)
        store.publish()
        return store

    def shard(self, store, window, **more):
        date, _, row, col = window.slices
        residual = None
        if self.residual is not None:
            residual = self.residual[window.coarsen(self.factors.ratio).slices]
        dead = np.arange(BAND) == 3 if window.rows[0] == 0 else None
        settings = {"residual": residual, "dead": dead, **more}
        store.write_maps("", window, self.maps[window.slices], self.valid[date, row, col], **settings)

    @property
    def known(self):
        """(time, band, y, x): band 3 is dead in the upper shards."""
        known = np.repeat(self.valid[:, None], BAND, axis=1)
        known[:, 3, :24] = False
        return known


def larger(values, ratio):
    return Upsample(ratio, tuple(values.shape))(torch.from_numpy(values)).numpy()


@pytest.fixture(scope="module")
def series():
    return Series()


@pytest.fixture(scope="module")
def store(series, tmp_path_factory):
    return series.write(tmp_path_factory.mktemp("compact") / "series.zarr")


# ---------------------------------------------------------------- steps


@given(st.integers(0, 10_000), st.integers(1, 30), st.sampled_from([None, 2, 3, 12]))
def test_steps_hold_the_worst_that_rounding_can_do(seed, rank, ratio):
    rng = np.random.default_rng(seed)
    basis = rng.normal(size=(rank, 20)) * 10.0 ** rng.uniform(-4, 4, (rank, 1))
    factors = Factors.of(basis, rng.random(20), ratio)
    worst = np.abs(factors.spectra.astype(float)).sum(0).max() * factors.step / 2
    if ratio:
        impulse = np.zeros((1, 1, 9, 9))
        impulse[..., 4, 4] = 1.0
        sizes = np.abs(larger(impulse, ratio))[0, 0]
        gain = sizes.reshape(9, ratio, 9, ratio).sum((0, 2)).max()
        worst += gain * factors.residual_step / 2
    assert worst <= factors.bound <= BOUND
    assert factors.bound > 0.9 * BOUND
    np.testing.assert_allclose(np.abs(factors.spectra).max(1), 1.0)


def test_a_spectrum_of_nothing_does_no_harm():
    factors = Factors.of(np.zeros((2, 4)), np.ones(4))
    assert factors.bound == 0.0
    assert (factors.spectra == 0).all()


def test_factors_of_other_shapes_are_refused():
    with pytest.raises(StoreError, match=r"a basis \(K, band\) of finite numbers"):
        Factors.of(np.ones((2, 4)), np.ones(3))
    with pytest.raises(StoreError, match="finite"):
        Factors.of(np.full((2, 4), np.nan), np.ones(4))


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("ratio", [None, 1, 2, 3])
def test_all_bands_come_back_within_half_a_step(tmp_path, ratio):
    series = Series(seed=3, ratio=ratio)
    store = series.write(tmp_path / "series.zarr")
    values, known = store.read("", series.spec().window)
    assert np.array_equal(known, series.known)
    assert np.abs(values - series.full)[known].max() <= BOUND
    assert not values[~known].any()
    assert store.spec("") == series.spec()


def test_steps_twice_as_coarse_break_the_bound(tmp_path):
    series = Series(seed=3)
    series.factors = replace(series.factors, step=4 * series.factors.step)
    values, known = series.write(tmp_path / "series.zarr").read("", series.spec().window)
    assert np.abs(values - series.full)[known].max() > BOUND


@settings(max_examples=8)
@given(st.data())
def test_any_window_is_the_crop_of_the_whole(series, store, data):
    rows, cols = (tuple(sorted(data.draw(st.tuples(*[st.integers(0, SIDE)] * 2)))) for _ in "yx")
    window = Window((0, TIME), rows, cols)
    values, known = store.read("", window)
    whole, all_known = store.read("", series.spec().window)
    np.testing.assert_allclose(values, whole[window.slices], atol=1e-6)
    assert np.array_equal(np.broadcast_to(known, values.shape), all_known[window.slices])


def test_any_window_of_a_residual_is_the_crop_of_the_whole(tmp_path):
    series = Series(seed=5, ratio=3)
    store = series.write(tmp_path / "series.zarr")
    whole = store.read("", series.spec().window)[0]
    for rows, cols in (((0, 7), (5, 31)), ((23, 25), (47, 48)), ((11, 48), (0, 2))):
        window = Window((0, TIME), rows, cols)
        np.testing.assert_allclose(store.read("", window)[0], whole[window.slices], atol=1e-6)


def test_interpolation_is_that_of_the_operators():
    values = np.random.default_rng(0).random((2, 3, 7, 5)).astype(np.float32)
    for ratio in (1, 2, 3, 4):
        rows, cols = (2, 7 * ratio - 1), (0, 3 * ratio)
        (top, bottom), (left, right) = needed(rows, ratio, 7), needed(cols, ratio, 5)
        part = enlarge(values[..., top:bottom, left:right], (rows, cols), ratio, (7, 5))
        expected = larger(values, ratio)[..., slice(*rows), slice(*cols)]
        np.testing.assert_allclose(part, expected, atol=2e-6)


def test_numbers_beyond_all_bounds_are_refused(series, tmp_path):
    maps, known = series.maps[:1, :, :2, :2].copy(), np.ones((1, 2, 2), bool)
    for bad in (np.nan, np.inf, 1e12):
        maps[0, 1, 0, 0] = bad
        with pytest.raises(StoreError, match="product: full"):
            pack_maps(maps, known, series.factors)
        known[0, 0, 0] = False
        assert (pack_maps(maps, known, series.factors)["coefficients"][0, :, 0, 0] == COUNTS.gap).all()
        known[0, 0, 0] = True
    with_residual = Series(ratio=2)
    with_residual.residual[0, 0, 0, 0] = 9.0
    with pytest.raises(StoreError, match="residual to be written"):
        with_residual.write(tmp_path / "series.zarr")


def test_what_the_frame_does_not_keep_is_refused(series, tmp_path):
    store = CubeStore(tmp_path / "series.zarr")
    store.create("", series.spec())
    window = series.spec().shards()[0]
    with pytest.raises(StoreError, match="no residual"):
        series.shard(store, window, residual=np.zeros((1, BAND, 12, 12)))
    with pytest.raises(StoreError, match="no sigma"):
        series.shard(store, window, sigma=np.zeros((1, 2, 24, 24)))
    with pytest.raises(StoreError, match="maps of coefficients, got all bands"):
        store.write("", window, np.zeros((1, BAND, 24, 24), np.float32), np.ones((1, 1, 1, 1), bool))


def test_a_frame_and_its_factors_must_agree(series):
    with pytest.raises(StoreError, match="12 bands, and anchors just where sigma is kept"):
        series.spec(sigma=True)
    with pytest.raises(StoreError, match="a ratio that divides"):
        series.spec(factors=replace(series.factors, ratio=5, residual_step=1e-5))


def test_other_spectra_are_another_frame(series, tmp_path):
    store = CubeStore(tmp_path / "series.zarr")
    store.create("", series.spec())
    store.create("", series.spec())
    turned = replace(series.factors, mean=series.factors.mean[::-1])
    with pytest.raises(StoreError, match="the very same frame"):
        store.create("", series.spec(factors=turned))


# ---------------------------------------------------------------- for people


def test_any_tool_can_expand_it_by_the_formula_in_its_attributes(series, store):
    seen = xr.open_zarr(store.path)
    assert "mean_spectrum(band) + sum over coefficient" in seen.attrs["expansion"]
    maps = seen.coefficients + seen.carry
    ours = seen.mean_spectrum + xr.dot(maps, seen.basis, dim="coefficient")
    ours = ours.transpose("time", "band", "y", "x").values
    assert np.abs(np.clip(ours, -3.2767, 3.2767) - series.full)[series.known].max() <= BOUND
    assert np.array_equal(np.isnan(ours[:, 0]), ~series.valid)


def test_cube_and_open_cube_show_all_bands(series, store):
    values, known = store.read("", series.spec().window)
    expected = np.where(known, values, np.nan)
    dataset = store.dataset("")
    assert {"reflectance", "valid", "qa"} == set(dataset)
    assert "wavelength" in dataset.coords
    np.testing.assert_array_equal(store.cube("").values, expected)
    own = stsfusion.open_cube(store.path)
    np.testing.assert_array_equal(own.values, expected)
    np.testing.assert_array_equal(own.valid, known)
    np.testing.assert_array_equal(own.wavelength, series.spec().wavelength)


def test_a_cut_is_made_axis_by_axis(series, store):
    whole = store.cube("").values
    cut = store.cube("").isel(time=1, y=slice(40, 3, -5), x=[1, 30, 2]).sel(band=["b3", "b7", "b2"])
    np.testing.assert_array_equal(cut.values, whole[1][[3, 7, 2]][:, 40:3:-5][:, :, [1, 30, 2]])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cut)).values, cut.values)


def test_only_what_is_used_is_read_and_made(store, monkeypatch):
    read, made = [], []
    get, product = zarr.storage.LocalStore.get, compact._product

    async def counting(self, key, *args, **options):
        found = await get(self, key, *args, **options)
        read.append(0 if found is None else len(found))
        return found

    def noting(table, maps):
        made.append((table.shape[1], *maps.shape[2:]))
        return product(table, maps)

    cube = store.cube("")
    monkeypatch.setattr(zarr.storage.LocalStore, "get", counting)
    monkeypatch.setattr(compact, "_product", noting)
    few = cube.isel(time=0, band=slice(4, 9), y=slice(0, 12), x=slice(0, 12))
    assert np.isfinite(few.values).any()
    assert made == [(5, 12, 12)]
    whole = sum(p.stat().st_size for p in store.path.rglob("c/**/*") if p.is_file())
    assert 0 < sum(read) < whole / 10


def test_sigma_follows_from_a_few_bands(tmp_path):
    rng = np.random.default_rng(0)
    mixed = rng.random((TIME, 2, SIDE, SIDE)) * 0.01 + 0.002
    sigma = np.einsum("tkyx,kb->tbyx", mixed, rng.random((2, BAND)) + 0.5)
    anchors = Anchors.learn(sigma.transpose(0, 2, 3, 1).reshape(-1, BAND)[::7])
    assert len(anchors.bands) == 2
    series = Series(anchors=anchors)
    store, spec = CubeStore(tmp_path / "series.zarr"), series.spec(sigma=True)
    store.create("", spec)
    for window in spec.shards():
        series.shard(store, window, sigma=sigma[window.slices][:, list(anchors.bands)])
    store.publish()
    found, known = store.read_sigma("", spec.window), series.known
    assert store.spec("") == spec
    assert np.array_equal(np.isfinite(found), known)
    assert np.abs(found / sigma - 1)[known].max() < 0.01
    np.testing.assert_array_equal(store.dataset("").sigma.values, found)
    seen = xr.open_zarr(store.path)
    plain = xr.dot(seen.sigma_anchors, seen.sigma_weights, dim="anchor").transpose("time", "band", "y", "x")
    assert np.abs(plain.values - found)[known].max() < 1e-6


def test_one_deviation_for_all_bands_needs_one_anchor():
    anchors = Anchors.learn(np.broadcast_to(np.linspace(0.001, 0.1, 50)[:, None], (50, 9)))
    assert len(anchors.bands) == 1
    assert anchors.error < 1e-5


# ---------------------------------------------------------------- at rest


def test_damage_is_found_in_every_kind_of_file(series, store, tmp_path):
    again = series.write(tmp_path / "series.zarr")
    assert verify(again.path).damages == ()
    assert verify(again.path).shares == verify(store.path).shares
    for array in ("coefficients", "carry", "dead", "basis", "qa"):
        file = next(p for p in sorted((again.path / array / "c").rglob("*")) if p.is_file())
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        (damage,) = verify(again.path).damages
        assert damage.file == file.relative_to(again.path).as_posix()
        file.write_bytes(whole)


def test_the_checksum_of_a_window_counts_every_array(series, tmp_path):
    store = series.write(tmp_path / "series.zarr")
    window = series.spec().shards()[0]
    before = store.checksum("", window, staged=False)
    for array in ("coefficients", "carry", "dead"):
        file = next(p for p in sorted((store.path / array / "c/0").rglob("*")) if p.is_file())
        whole = file.read_bytes()
        file.write_bytes(whole + b"\0")
        assert store.checksum("", window, staged=False) != before
        file.write_bytes(whole)


def test_dates_are_appended(series, tmp_path):
    store = series.write(tmp_path / "series.zarr")
    old, _ = store.read("", series.spec().window)
    longer = store.extend("", [5 * _DAY])
    for window in longer.shards((2, 3)):
        first = replace(window, dates=(0, 1))
        date, _, row, col = first.slices
        store.write_maps("", window, series.maps[first.slices], series.valid[date, row, col])
    assert store.spec("") == series.spec()
    store.publish()
    assert store.spec("").factors == series.factors
    new, _ = store.read("", longer.window)
    assert np.array_equal(new[:2], old)
    assert np.abs(new[2] - series.full[0])[series.known[0]].max() <= BOUND


def test_the_same_work_gives_the_same_bytes(series, store, tmp_path):
    again = CubeStore(tmp_path / "series.zarr")
    again.create("", series.spec())
    for window in reversed(series.spec().shards()):
        series.shard(again, window)
    again.publish()
    bytes_of = [
        {p.relative_to(s.path): p.read_bytes() for p in s.path.rglob("*") if p.is_file()}
        for s in (store, again)
    ]
    assert bytes_of[0] == bytes_of[1]


def size_of(store):
    return sum(p.stat().st_size for p in store.path.rglob("*") if p.is_file())


@pytest.mark.parametrize(("rank", "least"), [(12, 9.0), (24, 4.5)])
def test_it_is_as_many_times_smaller_as_its_rank_allows(data_folder, tmp_path, rank, least):
    with xr.open_dataset(data_folder / "scenes" / "indian_pines.nc") as scene:
        pixels = scene.reflectance.values[:166, :144, :144].astype(np.float64).reshape(166, -1)
    mean = pixels.mean(1)
    left, size, right = np.linalg.svd(pixels - mean[:, None], full_matrices=False)
    basis, maps = (left[:, :rank] * size[:rank]).T, right[:rank].reshape(1, rank, 144, 144)
    full = np.einsum("kb,tkyx->tbyx", basis, maps) + mean[:, None, None]
    nm = tuple(400.0 + 12 * i for i in range(166))
    bare = CubeSpec(Grid.local((144, 144), 20.0), (0,), tuple(map(str, range(166))), nm, shard=144, inner=48)
    compact, whole = (CubeStore(tmp_path / f"{kind}.zarr") for kind in ("compact", "full"))
    spec = replace(bare, factors=Factors.of(basis, mean))
    compact.create("", spec)
    compact.write_maps("", spec.window, maps * sizes_of(basis)[:, None, None], np.ones((1, 144, 144), bool))
    whole.create("", bare)
    whole.write("", bare.window, full, np.ones((1, 1, 1, 1), bool))
    for store in (compact, whole):
        store.publish()
    assert spec.factors.gain == 166 / rank
    assert size_of(whole) / size_of(compact) > least
    assert np.abs(compact.read("", spec.window)[0] - full).max() <= BOUND
