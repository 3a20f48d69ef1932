from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import masks, reflectances, windows

from stsfusion.cube import publication
from stsfusion.cube.filling import fill
from stsfusion.cube.georeference import grid_of
from stsfusion.cube.grid import Grid
from stsfusion.cube.packing import REFLECTANCE, SIGMA
from stsfusion.cube.publication import Publication
from stsfusion.cube.schema import check, validity
from stsfusion.cube.spec import CubeSpec, milliseconds
from stsfusion.cube.store import CubeStore
from stsfusion.errors import StoreError
from stsfusion.window import Window

ALL = np.ones((1, 1, 1, 1), dtype=bool)


@pytest.fixture
def spec(make_cube):
    return CubeSpec.like(check(make_cube()), shard=24, inner=12, attributes={"title": "a test"})


@pytest.fixture
def store(tmp_path):
    return CubeStore(tmp_path / "cube.zarr")


def filled(store, cube, spec, name="", **options):
    store.create(name, spec, **options)
    fill(store, name, cube)
    store.publish()
    return store


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def opened(store, group=None):
    return xr.open_zarr(store.path, group=group, chunks=None)


def test_a_cube_comes_back_with_its_labels(store, make_cube, spec):
    cube = check(make_cube())
    back = filled(store, cube, spec).cube()
    assert np.allclose(back, cube, atol=0.51e-4)
    assert back.dtype == np.float32
    assert grid_of(back) == grid_of(cube) == store.grid()
    for name in ("time", "band", "wavelength", "fwhm", "y", "x"):
        assert np.array_equal(back[name].values, cube[name].values), name
    assert store.spec() == spec
    assert check(back).identical(check(back))


def test_who_reads_touches_nothing(store, make_cube, spec, monkeypatch):
    filled(store, check(make_cube()), spec)
    monkeypatch.setattr(Path, "mkdir", lambda path, *_, **__: pytest.fail(f"a reader makes {path}"))
    assert np.isfinite(CubeStore(store.path).cube().isel(time=0).values).any()
    assert CubeStore(store.path).spec() == spec


def test_gaps_of_single_bands_come_back(store, make_cube, spec):
    cube = check(make_cube().assign_coords(valid=make_cube() > 0.02))
    back = filled(store, cube, spec).cube()
    assert np.array_equal(validity(check(back)), validity(cube))
    assert np.array_equal(np.isnan(back), ~validity(cube))
    values, valid = store.read("", Window((0, 1), (0, 30), (0, 36)))
    assert valid.shape == values.shape
    assert not values[~valid].any()


def test_bands_that_agree_give_one_mask(store, make_cube, spec):
    cube = make_cube()
    mask = cube.isel(band=0, drop=True) > 0.02
    filled(store, check(cube.assign_coords(valid=mask)), spec)
    _, valid = store.read("", spec.window)
    assert valid.shape == (3, 1, 30, 36)
    assert np.array_equal(valid[:, 0], mask)


@settings(max_examples=15)
@given(data=st.data())
def test_any_window_is_the_part_of_the_whole(published, data):
    cube, store = published
    window = data.draw(windows(3, 30, 36))
    values, valid = store.read("", window)
    assert np.allclose(values, cube.values[window.slices], atol=0.51e-4)
    assert valid.all()


@pytest.fixture(scope="module")
def published(tmp_path_factory, make_cube):
    cube = check(make_cube())
    store = CubeStore(tmp_path_factory.mktemp("store") / "cube.zarr")
    return cube, filled(store, cube, CubeSpec.like(cube, shard=24, inner=12))


def test_a_turned_coordinate_image_stays_turned(store, make_cube, spec):
    turned = make_cube().copy(data=np.rot90(make_cube((3, 4, 36, 30)).values, axes=(2, 3)))
    filled(store, check(turned), spec)
    for window in spec.shards():
        values, _ = store.read("", window)
        date, y, x = window.dates[0], window.rows[0], window.cols[0]
        assert values[0, 0, 0, 0] == pytest.approx(((x * 64) + (29 - y) + 11 * date) * 1e-4, abs=0.51e-4)


@given(values=reflectances((2, 3, 4), most=1e6), valid=masks((2, 3, 4)))
def test_packing_never_wraps_and_never_loses_a_gap(values, valid):
    counts = REFLECTANCE.pack(values, valid)
    back, known = REFLECTANCE.unpack(counts)
    assert np.array_equal(known, valid)
    assert np.abs(back - np.clip(values, -3.2767, 3.2767))[valid].max(initial=0) <= 0.51e-4
    assert not back[~valid].any()


def test_every_count_survives_unpacking_and_packing():
    for packing in (REFLECTANCE, SIGMA):
        counts = np.arange(packing.least, packing.most + 1).astype(packing.dtype)
        values, known = packing.unpack(counts)
        assert known.all()
        assert np.array_equal(packing.pack(values, np.True_), counts)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_valid_value_must_be_finite(bad):
    values = np.array([0.1, bad], np.float32)
    with pytest.raises(StoreError, match="finite numbers wherever valid"):
        REFLECTANCE.pack(values, np.array([True, True]))
    assert REFLECTANCE.pack(values, np.array([True, False])).tolist() == [1000, -32768]


def test_flags_and_sigma_lie_beside_the_values(store, make_cube, spec):
    store.create("", replace(spec, sigma=True))
    window = spec.shards()[0]
    qa = np.full((1, 1, 24, 24), 3, np.uint8)
    valid = ALL & (np.arange(24) > 0)
    store.write("", window, make_cube().values[window.slices], valid, qa=qa, sigma=np.float32(0.0123))
    store.publish()
    found = store.read_qa("", Window((0, 1), (0, 24), (0, 36)))
    assert (found[:, :, 1:24] == 3).all()
    assert not found[:, :, 0].any()
    assert not found[:, :, 24:].any()
    sigma = store.read_sigma("", window)
    assert np.allclose(sigma[..., 1:], 0.0123)
    assert np.isnan(sigma[..., 0]).all()
    flags = opened(store)["qa"].attrs
    assert dict(zip(flags["flag_meanings"].split(), flags["flag_values"], strict=True))["filled"] == 5


def test_a_stranger_reads_it_all_with_xarray_alone(store, make_cube, spec):
    cube = make_cube()
    filled(store, check(cube.assign_coords(valid=cube > 0.02)), spec)
    seen = opened(store)
    assert np.allclose(seen["reflectance"], cube.where(cube > 0.02), atol=0.51e-4, equal_nan=True)
    assert np.array_equal(seen["valid"], (cube > 0.02).any("band"))
    assert np.array_equal(seen["time"], cube["time"])
    assert seen.attrs["proj:code"] == "EPSG:32650"
    assert seen.attrs["spatial:transform"] == [10.0, 0.0, 398000.0, 0.0, -10.0, 4420000.0]
    assert seen.attrs["title"] == "a test"
    assert set(seen["reflectance"].coords) >= {"wavelength", "fwhm", "spatial_ref"}


def test_a_local_grid_is_kept_without_a_reference_system(store, make_cube):
    cube = check(make_cube((2, 2, 30, 36), Grid.local((30, 36), 20.0)))
    filled(store, cube, CubeSpec.like(cube, shard=24, inner=12))
    assert store.grid() == Grid.local((30, 36), 20.0)
    assert "proj:code" not in opened(store).attrs


def test_coarser_cubes_nest_on_the_same_ground(store, make_cube, spec):
    coarse = check(make_cube((3, 4, 10, 12), grid_of(make_cube()).coarsen(3)))
    divided = CubeSpec.like(coarse, ratio=3, shard=24, inner=12)
    assert (divided.shard, divided.inner) == (8, 4)
    assert [w.refine(3) for w in divided.shards()] == spec.shards()
    with pytest.raises(StoreError, match="that the ratio 5 divides"):
        spec.divided(5)
    store.create("rich", divided)
    store.create("sharp", spec)
    fill(store, "rich", coarse)
    store.publish()
    assert store.names() == ["rich", "sharp"]
    assert store.grid("rich").ratio_to(store.grid("sharp")) == 3
    assert np.allclose(opened(store, "rich")["reflectance"], coarse, atol=0.51e-4)
    assert np.isnan(opened(store, "sharp")["reflectance"]).all()


def test_info_tells_a_person_what_is_there(store, make_cube, spec):
    facts = filled(store, check(make_cube()), spec, owner="abc").info()[""]
    assert facts["shape"] == {"time": 3, "band": 4, "y": 30, "x": 36}
    assert facts["dates"][0] == "2021-12-13"
    assert facts["owner"] == "abc"
    assert facts["bytes"] > 0


@pytest.mark.parametrize("rows, cols", [((0, 12), (0, 24)), ((0, 24), (1, 25)), ((24, 29), (0, 24))])
def test_part_of_a_shard_is_refused(store, spec, rows, cols):
    store.create("", spec)
    window = Window((0, 1), rows, cols)
    with pytest.raises(StoreError, match="whole shards of 24 pixels"):
        store.write("", window, np.zeros((1, 4, *window.shape[1:]), np.float32), ALL)


def test_what_does_not_fit_is_refused(store, spec):
    store.create("", spec)
    window = spec.shards()[0]
    with pytest.raises(StoreError, match=r"shape \(1, 4, 24, 24\), got \(1, 3, 24, 24\)"):
        store.write("", window, np.zeros((1, 3, 24, 24), np.float32), ALL)
    with pytest.raises(StoreError, match="a frame with sigma"):
        store.write("", window, np.zeros((1, 4, 24, 24), np.float32), ALL, sigma=np.float32(0))
    with pytest.raises(StoreError, match="qa"):
        store.write("", window, np.zeros((1, 4, 24, 24), np.float32), ALL, qa=np.zeros((1, 24, 23), int))
    with pytest.raises(StoreError, match="inside 3 dates"):
        store.write("", Window((3, 4), (0, 24), (0, 24)), np.zeros((1, 4, 24, 24), np.float32), ALL)
    with pytest.raises(StoreError, match="a dataset 'rihc' that is being written"):
        store.write("rihc", window, np.zeros((1, 4, 24, 24), np.float32), ALL)


def write_some(path, values, first):
    store = CubeStore(path)
    for window in store.spec(staged=True).shards()[first::2]:
        store.write("", window, values[window.slices], ALL)


def test_two_processes_write_different_shards(store, make_cube, spec, whole_tree):
    cube = check(make_cube())
    store.create("", spec)
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write_some, args=(store.path, cube.values, i)) for i in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    store.publish()
    assert tree(store.path) == whole_tree


def write_and_die(path, values):
    store = CubeStore(path)
    for window in store.spec(staged=True).shards()[:5]:
        store.write("", window, values[window.slices], ALL)
    (path / "reflectance" / "c" / "0" / "0" / "0" / "1.0123.partial").write_bytes(b"half a shard")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_writer_leaves_nothing_to_be_seen_and_can_go_on(store, make_cube, spec, whole_tree):
    cube = check(make_cube())
    store.create("", spec)
    victim = multiprocessing.get_context("spawn").Process(
        target=write_and_die, args=(store.path, cube.values)
    )
    victim.start()
    victim.join()
    assert victim.exitcode == -signal.SIGKILL
    with pytest.raises(FileNotFoundError):
        opened(store)
    with pytest.raises(StoreError, match="a dataset '' that is published"):
        store.cube()
    done = store.checksum("", spec.shards()[0])
    store.create("", spec)
    assert store.checksum("", spec.shards()[0]) == done
    for window in spec.shards()[5:]:
        store.write("", window, cube.values[window.slices], ALL)
    store.publish()
    assert tree(store.path) == whole_tree


def test_a_checksum_tells_written_from_unwritten_and_one_bit_from_another(store, make_cube, spec):
    store.create("", spec)
    window, other = spec.shards()[:2]
    values = make_cube().values
    empty = store.checksum("", window)
    store.write("", window, values[window.slices], ALL)
    first = store.checksum("", window)
    assert first != empty
    store.write("", window, values[window.slices], ALL)
    assert store.checksum("", window) == first
    store.write("", window, values[window.slices] + 1e-4, ALL)
    assert store.checksum("", window) != first
    assert store.checksum("", other) != empty, "two unwritten shards have names of their own"


def test_new_dates_grow_to_the_same_bytes_as_one_run(store, make_cube, spec, whole_tree):
    cube = check(make_cube())
    short = replace(spec, times=spec.times[:2])
    filled(store, cube[:2], short)
    longer = store.extend("", spec.times[2:])
    assert longer == spec
    for window in longer.shards((2, 3)):
        store.write("", window, cube.values[window.slices], ALL)
    assert opened(store).sizes["time"] == 2
    store.publish()
    assert tree(store.path) == whole_tree


def test_published_dates_do_not_change(store, make_cube, spec):
    cube = check(make_cube())
    short = replace(spec, times=spec.times[:2])
    filled(store, cube[:2], short)
    with pytest.raises(StoreError, match="a dataset being written"):
        store.write("", short.shards()[0], cube.values[short.shards()[0].slices], ALL)
    store.extend("", spec.times[2:])
    with pytest.raises(StoreError, match="which is published"):
        store.write("", short.shards()[0], cube.values[short.shards()[0].slices], ALL)


def test_a_discarded_extension_leaves_the_old_bytes(store, make_cube, spec):
    cube = check(make_cube())
    filled(store, cube[:2], replace(spec, times=spec.times[:2]))
    before = tree(store.path)
    longer = store.extend("", spec.times[2:])
    store.write("", longer.shards((2, 3))[0], cube.values[longer.shards((2, 3))[0].slices], ALL)
    assert tree(store.path) != before
    store.discard()
    assert tree(store.path) == before


def test_a_discarded_new_store_leaves_nothing(store, spec):
    store.create("", spec)
    store.discard()
    assert not store.path.exists()


@pytest.mark.parametrize("times", [(-1,), (0,)])
def test_dates_that_come_twice_or_before_are_refused(store, make_cube, spec, times):
    filled(store, check(make_cube()), spec)
    with pytest.raises(StoreError, match="rising and unique"):
        store.extend("", [spec.times[-1] + step for step in times])
    assert not Publication(store.path).pending


def test_duplicate_dates_are_refused_at_creation(spec):
    with pytest.raises(StoreError, match="rising and unique"):
        replace(spec, times=(0, 0, 1))
    with pytest.raises(StoreError, match="rising and unique"):
        milliseconds(np.array(["2021-01-01", "NaT"], "datetime64[ms]"))


@pytest.mark.parametrize("step", [0, 1, 5, 10])
def test_a_publication_killed_at_any_step_is_finished_by_the_next(
    store, make_cube, spec, monkeypatch, step, whole_tree
):
    cube = check(make_cube())
    filled(store, cube[:2], replace(spec, times=spec.times[:2]))
    longer = store.extend("", spec.times[2:])
    for window in longer.shards((2, 3)):
        store.write("", window, cube.values[window.slices], ALL)

    whole, calls = publication._replace, []

    def dying(path, document):
        calls.append(path)
        if len(calls) > step:
            raise KeyboardInterrupt
        whole(path, document)

    monkeypatch.setattr(publication, "_replace", dying)
    with pytest.raises(KeyboardInterrupt):
        store.publish()
    monkeypatch.setattr(publication, "_replace", whole)
    seen = opened(store)
    assert seen.sizes["time"] == (2 if step == 0 else 3)
    assert not np.isnan(seen["reflectance"]).any()
    store.publish()
    assert tree(store.path) == whole_tree


@pytest.fixture(scope="module")
def whole_tree(tmp_path_factory, make_cube):
    cube = check(make_cube())
    spec = CubeSpec.like(cube, shard=24, inner=12, attributes={"title": "a test"})
    return tree(filled(CubeStore(tmp_path_factory.mktemp("whole") / "cube.zarr"), cube, spec).path)


def test_an_output_of_another_recipe_is_refused_and_untouched(store, make_cube, spec):
    before = tree(filled(store, check(make_cube()), spec, owner="aaa").path)
    for replace_it in (False, True):
        with pytest.raises(StoreError, match=r"this recipe \(bbb\), got one of another recipe \(aaa\)"):
            store.create("", spec, owner="bbb", replace=replace_it)
    assert tree(store.path) == before
    assert store.owner() == "aaa"


def test_another_frame_is_refused_unless_it_shall_be_replaced(store, make_cube, spec):
    cube = check(make_cube())
    filled(store, cube, spec, owner="me")
    store.create("", spec, owner="me")
    assert not Publication(store.path).pending, "the same frame, published already, is left as it is"
    short = replace(spec, times=spec.times[:2])
    with pytest.raises(StoreError, match="another frame, published"):
        store.create("", short, owner="me")
    store.create("", short, owner="me", replace=True)
    with pytest.raises(FileNotFoundError):
        opened(store)
    with pytest.raises(StoreError, match="another frame, being written"):
        store.create("", spec, owner="me")
    fill(store, "", cube[:2])
    store.publish()
    assert opened(store).sizes["time"] == 2


def test_a_strangers_folder_is_not_touched(store, make_cube, spec):
    store.path.mkdir()
    (store.path / "thesis.doc").write_text("the only copy")
    with pytest.raises(StoreError, match="something else"):
        store.create("", spec)
    assert list(tree(store.path)) == ["thesis.doc"]


def test_a_foreign_zarr_is_not_touched(store, make_cube, spec):
    make_cube().assign_coords(band=range(4)).to_dataset().to_zarr(
        store.path, zarr_format=3, consolidated=False
    )
    before = tree(store.path)
    with pytest.raises(StoreError, match="Read a foreign Zarr with open_cube"):
        store.create("", spec)
    assert tree(store.path) == before


def test_a_later_layout_is_refused(store, make_cube, spec):
    filled(store, check(make_cube()), spec)
    root = store.path / "zarr.json"
    root.write_text(root.read_text().replace('"format": 1', '"format": 3'))
    with pytest.raises(StoreError, match="layout 2 or before, got layout 3"):
        store.cube()


@pytest.mark.parametrize("name", ["time", "Rich", "a/b", "../up"])
def test_names_that_would_clash_are_refused(store, spec, name):
    with pytest.raises(StoreError, match="dataset name"):
        store.create(name, spec)
