"""A simulated run: the truth is in the store, and nobody who fuses looks at it."""

import json
import shutil

import numpy as np
import pytest
import xarray as xr
import yaml
from small_project import bytes_of, here

from stsfusion import resources
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.forward.sample import open_scene
from stsfusion.pipeline import contest, fusing
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.intake import TRUTH
from stsfusion.pipeline.recipe import load_recipe
from stsfusion.running.ledger import Ledger
from stsfusion.running.progress import progress


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A recipe on a small part of the real scene, run to its end."""
    folder = tmp_path_factory.mktemp("simulated")
    scene = open_scene("indian-pines")
    part = scene.reflectance[::4, 40:88, 40:88]
    xr.Dataset(
        {"reflectance": (("band", "y", "x"), part)}, {"wavelength": ("band", scene.wavelengths[::4])}
    ).to_netcdf(folder / "scene.nc", engine="h5netcdf")
    recipe = {
        "simulate": {"scene": "scene.nc", "protocol": {"clouds": {"dense": 0.1}}},
        "roles": {
            "rich": {"psf": "gaussian"},
            "sharp": {"sensor": "zy1-02d-vnic", "psf": "box"},
            "dense": {"sensor": "gf6-wfv", "psf": "gaussian"},
        },
        "fuse": {"method": "gsa", "tile": 24, "executor": "inline"},
        "evaluate": {"compare": ["lineartime"]},
        "report": {"pictures": False},
        "output": str(folder / "out"),
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(recipe))
    done = here("run", path, "-q")
    assert done.exit_code == 0, done.output
    return path


def test_scores_have_three_averages_and_say_that_they_are_simulated(run):
    scores = json.loads((run.parent / "out" / "scores.json").read_text())
    seen = {(row["method"], row["subset"]) for row in scores["rows"]}
    assert seen == {(m, s) for m in ("gsa", "lineartime") for s in ("all", "observed", "missing")}
    by = {(row["method"], row["subset"]): row for row in scores["rows"]}
    assert by["gsa", "observed"]["sam"] < by["lineartime", "observed"]["sam"]
    page = (run.parent / "out" / "report.html").read_text()
    assert "simulated" in page
    assert "Pixels of all published dates: " in page
    assert xr.open_zarr(run.parent / "out" / "fused.zarr").attrs["simulated"] is True


def test_rivals_that_are_done_are_not_run_again(run, monkeypatch):
    out = run.parent / "out"
    before, marks = (out / "scores.json").read_text(), json.loads((out / ".stsfusion/steps.json").read_text())
    (out / "scores.json").unlink()
    (out / ".stsfusion/steps.json").write_text(json.dumps({**marks, "evaluate": {}}))
    monkeypatch.setattr(contest, "attempt", None)
    assert here("run", run, "-q").exit_code == 0
    assert (out / "scores.json").read_text() == before


def fused_bytes(recipe, folder, output):
    """Learn, fuse and publish on the cubes of a folder; every byte of the series."""
    draft = fusing.draft(recipe, fusing.cubes_of(folder), folder, folder.root, output)
    method = fusing.fit(
        draft.plan, recipe, folder.work / f"{output.name}.safetensors", lambda done, what: None
    )
    plan = draft.plan.with_method(method)
    spec = fusing.frame(draft.assembly, plan, recipe.fuse.shard_size, {}, False)
    with Ledger.open(folder.work / f"{output.name}.sqlite", "x") as ledger, progress("", quiet=True) as bar:
        end = fusing.fuse_tiles(plan, spec, folder, recipe.fuse, output.name, ledger, bar)
    assert not end.failed
    CubeStore(output).publish()
    return bytes_of(output)


def test_noise_in_place_of_the_truth_changes_no_byte(run, tmp_path):
    shutil.copytree(run.parent / "out" / "cubes.zarr", tmp_path / "out" / "cubes.zarr")
    recipe, _ = load_recipe(run)
    folder = Folder(tmp_path / "out", "small", run)
    folder.work.mkdir()
    store = CubeStore(folder.cubes)
    before = fused_bytes(recipe, folder, tmp_path / "a.zarr")
    truth = store.spec(TRUTH)
    other = CubeSpec(
        truth.grid, truth.times, truth.bands, truth.wavelength, attributes={"role": TRUTH, "seed": 1}
    )
    store.create(TRUTH, other, owner="small", replace=True)
    noise = np.random.default_rng(1).random(other.shape, dtype=np.float32)
    for window in other.shards():
        store.write(TRUTH, window, noise[window.slices], np.ones((1, 1, 1, 1), bool))
    store.publish()
    assert not np.array_equal(store.read(TRUTH, other.window)[0], 0)
    assert fused_bytes(recipe, folder, tmp_path / "b.zarr") == before


def test_a_changed_observation_does_change_the_bytes(run, tmp_path):
    """The comparison above can fail: what is observed is looked at."""
    shutil.copytree(run.parent / "out" / "cubes.zarr", tmp_path / "out" / "cubes.zarr")
    recipe, _ = load_recipe(run)
    folder = Folder(tmp_path / "out", "small", run)
    folder.work.mkdir()
    store = CubeStore(folder.cubes)
    before = fused_bytes(recipe, folder, tmp_path / "a.zarr")
    spec = store.spec("rich")
    values, valid = store.read("rich", spec.window)
    brighter = CubeSpec(
        spec.grid,
        spec.times,
        spec.bands,
        spec.wavelength,
        shard=spec.shard,
        inner=spec.inner,
        attributes={"n": 1},
    )
    store.create("rich", brighter, owner="small", replace=True)
    for window in brighter.shards():
        store.write("rich", window, values[window.slices] * 1.1, valid[window.slices])
    store.publish()
    assert fused_bytes(recipe, folder, tmp_path / "b.zarr") != before


def test_another_seed_is_done_anew_in_the_same_folder_when_that_is_said(run):
    before = bytes_of(run.parent / "out" / "fused.zarr")
    refused = here("run", run, "-q", "--set", "simulate.seed=3")
    assert refused.exit_code == 2
    assert "run --overwrite" in refused.stderr
    assert bytes_of(run.parent / "out" / "fused.zarr") == before
    done = here("run", run, "-q", "--set", "simulate.seed=3", "--overwrite")
    assert done.exit_code == 0, done.output
    assert bytes_of(run.parent / "out" / "fused.zarr") != before
    assert not list((run.parent / "out").glob(".fused-*"))
    back = here("run", run, "-q", "--overwrite")
    assert back.exit_code == 0, back.output
    assert bytes_of(run.parent / "out" / "fused.zarr") == before


def test_a_scene_that_is_not_there_leaves_nothing(tmp_path):
    path = tmp_path / "lost.yaml"
    path.write_text("simulate: {scene: indian-pine}\nfuse: {method: gsa}\n")
    done = here("run", path, "-q", "--set", f"output={tmp_path / 'out'}")
    assert done.exit_code == 2
    assert "indian-pines" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_changed_sensor_is_simulated_anew(run):
    text = resources.find("catalogs", "sensors/zy1-02d-vnic.yaml").read_text()
    own = run.parent / "catalogs" / "sensors" / "zy1-02d-vnic.yaml"
    own.parent.mkdir(parents=True)
    store = CubeStore(run.parent / "out" / "cubes.zarr")
    before = store.read("sharp", store.spec("sharp").window)[0]
    own.write_text(text.replace("452", "480"))
    assert own.read_text() != text
    done = here("run", run, "-q", "--overwrite")
    shutil.rmtree(run.parent / "catalogs")
    assert done.exit_code == 0, done.output
    after = store.read("sharp", store.spec("sharp").window)[0]
    assert not np.array_equal(before[:, 0], after[:, 0])
    assert here("run", run, "-q", "--overwrite").exit_code == 0
    np.testing.assert_array_equal(store.read("sharp", store.spec("sharp").window)[0], before)
