"""`bench hsi-msi` from scenes to tables: rows, cache, resumed trainings, failures, and the command itself."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from rich.console import Console
from typer.testing import CliRunner

from stsfusion.cli import app
from stsfusion.errors import CubeError, MethodError, SensorError
from stsfusion.pipeline import contest, hsimsi
from stsfusion.pipeline.hsimsi import bench_hsi_msi
from stsfusion.pipeline.pairprotocol import PairProtocol
from stsfusion.pipeline.pairtable import boards

ROWS, COLS = 26, 23
ROW = [
    "scene", "psf", "method", "quick", "psnr", "sam", "ergas", "rmse", "ssim", "cc", "uiqi", "mrae",
    "coverage90", "coverage90_low", "coverage90_high", "fit_s", "fuse_s", "peak_mb",
]  # fmt: skip

GUEST = '''
import os, signal
from dataclasses import dataclass, field
from pathlib import Path
import torch
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import Card, FusionMethod
from stsfusion.learning import checkpoint

@dataclass
class Slow(FusionMethod):
    """Learns for some steps, dies once at a step if told to, and is unsure by as much as it is told."""

    steps: int = field(default=9, metadata={"quick": 4})
    dies: int = 0
    sigma: float = 0.0

    @property
    def card(self):
        return Card(name="slow", title="slow", source="stsfusion", needs=("rich", "sharp"), fits="scene")

    def fit(self, problems, tick=None):
        found = checkpoint.recall("slow")
        first = 0 if found is None else found[1]
        for step in range(first, self.steps):
            if step == self.dies and step > 0 and first == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            checkpoint.keep("slow", dict, step + 1, last=True)
        print("fitted from", first)
        self._state = {"from": torch.tensor(float(first)), "to": torch.tensor(float(self.steps))}
        return self

    def fuse(self, problem):
        time, _, y, x = problem.target.shape
        values = torch.zeros(problem.target.shape) + self.state["from"] + self.state["to"] / 100
        sigma = torch.full((1, 1, 1, 1), self.sigma) if self.sigma else None
        return Answer(values, torch.ones(time, 1, y, x, dtype=torch.uint8), sigma)
'''


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """A method of another package, found through its entry point."""
    home = tmp_path / "site"
    (home / "slow-1.0.dist-info").mkdir(parents=True)
    (home / "slow-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n")
    (home / "slow-1.0.dist-info" / "entry_points.txt").write_text(
        "[stsfusion.methods]\nslow = slow_method:Slow\n"
    )
    (home / "slow_method.py").write_text(GUEST)
    monkeypatch.syspath_prepend(str(home))


def _write(path, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:ROWS, :COLS] / 5.0
    nm = np.linspace(430, 900, 48)
    leaf, soil = 0.05 + 0.4 / (1 + np.exp((710 - nm) / 15)), 0.1 + 0.2 * (nm - 430) / 470
    cover = np.clip(0.5 + 0.4 * np.sin(y + seed) * np.cos(x) + 0.03 * rng.standard_normal(y.shape), 0, 1)
    counts = np.round(1e4 * (cover * leaf[:, None, None] + (1 - cover) * soil[:, None, None]))
    cube = xr.DataArray(counts.astype(np.int16), dims=("band", "y", "x"), attrs={"scale_factor": 1e-4})
    file = cube.to_dataset(name="reflectance").assign_coords(wavelength=("band", nm))
    ali = xr.DataArray(cube.values[[6, 14, 40]] * 1e-4, dims=("msi_band", "y", "x"))
    limits = {"msi_low": ("msi_band", nm[[5, 13, 39]]), "msi_high": ("msi_band", nm[[7, 15, 41]])}
    file.assign(ali=ali.astype(np.float32)).assign(limits).to_netcdf(path, engine="h5netcdf")
    return path


@pytest.fixture
def scene(tmp_path):
    return _write(tmp_path / "field.nc")


def test_rows_file_summary_tables_and_resuming(scene, tmp_path, monkeypatch):
    other = _write(tmp_path / "hill.nc", 1)
    said = []
    options = {"cache_dir": tmp_path / "cache", "json_path": tmp_path / "out" / "rows.json"}
    asked = [scene, other], ["bicubic", "gsa:psf=box,ridge=1e-3"], PairProtocol(ratio=3), ["box"]
    first = bench_hsi_msi(*asked, **options, progress=lambda *s: said.append(s))
    assert [list(row) for row in first["rows"]] == [ROW] * 4
    assert [(row["scene"], row["psf"], row["method"]) for row in first["rows"][:3]] == [
        ("field", "box", "bicubic"),
        ("field", "box", "gsa:psf=box,ridge=1e-3"),
        ("hill", "box", "bicubic"),
    ]
    assert [(line["method"], line["psnr_wins"], line["scenes"]) for line in first["summary"]] == [
        ("gsa:psf=box,ridge=1e-3", 2, 2),
        ("bicubic", 0, 2),
    ]
    assert [at["scene"] for at in first["scenes"]] == ["field", "hill"]
    assert first["scenes"][0]["bands"] == ["B1", "B2", "B3", "B4", "B5"]
    assert ("field box bicubic", 1.0, "done") in said
    assert json.loads((tmp_path / "out" / "rows.json").read_text()) == first

    monkeypatch.setattr(contest, "attempt", lambda *_: pytest.fail("done again"))
    assert bench_hsi_msi(*asked, **options) == first

    drawn = io.StringIO()
    for board in boards(first):
        Console(file=drawn, width=200).print(board)
    assert f"{first['rows'][1]['psnr']:.2f}" in drawn.getvalue()
    assert "field: bands B6, B7 of landsat8-oli are left out" in drawn.getvalue()
    assert "over all scenes" in drawn.getvalue()


def test_a_training_that_was_killed_goes_on_and_leaves_nothing(scene, tmp_path, slow, trial_process):
    options = {"cache_dir": tmp_path / "cache"}
    asked = [scene], ["slow:dies=5"]
    (lost,) = bench_hsi_msi(*asked, **options)["rows"]
    assert "killed by signal 9" in lost["error"]
    (left,) = (tmp_path / "cache").iterdir()
    assert left.suffix == ".partial"
    (row,) = bench_hsi_msi(*asked, **options)["rows"]
    truth = xr.open_dataset(scene, engine="h5netcdf")["reflectance"].values
    assert row["rmse"] == pytest.approx(np.sqrt(((5.09 - truth) ** 2).mean((1, 2))).mean(), rel=1e-5)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".json"]


def test_quick_shortens_and_says_so(scene, tmp_path, slow):
    methods = ["slow", "slow:steps=7", "bicubic"]
    rows = bench_hsi_msi([scene], methods, quick=True, cache_dir=tmp_path / "cache")["rows"]
    assert [(row["method"], row["quick"]) for row in rows] == [
        ("slow", True), ("slow:steps=7", False), ("bicubic", False),
    ]  # fmt: skip
    whole = bench_hsi_msi([scene], ["slow:steps=4"], cache_dir=tmp_path / "cache")["rows"]
    assert whole[0]["rmse"] == rows[0]["rmse"] != rows[1]["rmse"]


def test_stated_deviations_are_scored(scene, tmp_path, slow):
    (row,) = bench_hsi_msi([scene], ["slow:sigma=9"], cache_dir=tmp_path / "cache")["rows"]
    assert (row["coverage90"], row["coverage90_low"], row["coverage90_high"]) == (1.0, 1.0, 1.0)


def test_what_cannot_work_is_refused_before_any_work(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(contest, "attempt", lambda *_: pytest.fail("started"))
    with pytest.raises(MethodError, match="Did you mean 'bicubic'"):
        bench_hsi_msi([scene], ["bicubik"])
    with pytest.raises(MethodError, match=r"'stsnet': .* rich \+ sharp, got one that needs rich \+ dense"):
        bench_hsi_msi([scene], ["bicubic", "stsnet"])
    with pytest.raises(CubeError, match="no such file"):
        bench_hsi_msi([scene, tmp_path / "none.nc"], ["bicubic"])
    (tmp_path / "else").mkdir()
    with pytest.raises(CubeError, match="scene field: expected files of different names"):
        bench_hsi_msi([scene, _write(tmp_path / "else" / "field.nc", 1)], ["bicubic"])
    with pytest.raises(SensorError, match="B7"):
        bench_hsi_msi([scene], ["bicubic"], PairProtocol(bands=("B7",)))


def test_every_scene_meets_every_point_spread_function_once(scene, tmp_path):
    other = _write(tmp_path / "hill.nc", 1)
    stages = hsimsi._stages([scene, other, scene], PairProtocol(), ["box", "fwhm:4"], None)
    assert [(stage.scene.name, stage.protocol.psf) for stage in stages] == [
        ("field", "box"), ("field", "fwhm:4"), ("hill", "box"), ("hill", "fwhm:4"),
    ]  # fmt: skip


def test_problems_of_scenes_that_are_done_are_let_go(scene):
    (kept,) = hsimsi._stages([scene], PairProtocol(), ["box"], None)
    (used,) = hsimsi._one_by_one([kept])
    assert used.problem is used.problem
    assert "problem" not in vars(kept)


def _call(*words):
    return CliRunner().invoke(app, ["bench", "hsi-msi", *map(str, words)])


def test_the_command(scene, tmp_path):
    file, cache = tmp_path / "rows.json", ["--cache", tmp_path / "cache"]
    done = _call(
        scene, "--methods", "gsa:psf=box,bicubic", "--ratio", 2, "--psf", "fwhm:2", "--bands", "B8",
        "--known", "--snr-db", 40, "--shift", 0.5, "--crop", "0:20,1:20", "--seed", 3, "--json", file, *cache,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "field: ratio 2, fwhm:2, shift 0.5 px, 40 dB, landsat8-oli B8, known" in done.stdout
    result = json.loads(file.read_text())
    assert [row["method"] for row in result["rows"]] == ["gsa:psf=box", "bicubic"]
    assert result["scenes"][0]["scene_shape"] == {"bands": 48, "rows": 20, "cols": 19}
    said = {name: result["protocol"][name] for name in ("seed", "psf", "crop")}
    assert said == {"seed": 3, "psf": ["fwhm:2"], "crop": "0:20,1:20"}
    done = _call(scene, "--pair", "ali", "--ratio", 3, "--psf", "fwhm:3", "--methods", "gsa:psf=box", *cache)
    assert done.exit_code == 0, done.output
    assert "ali (real), blind" in done.stdout


def test_an_interrupted_command_asks_to_be_called_again(scene, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(contest, "attempt", interrupt)
    done = _call(scene, "--methods", "bicubic", "--cache", scene.parent / "cache")
    assert done.exit_code == 75
    assert "the same command goes on from here" in done.output


def test_the_command_says_what_is_wrong(scene, tmp_path, slow, trial_process):
    assert _call(tmp_path / "none.nc").exit_code == 2
    done = _call(scene, "--bands", "B7")
    assert done.exit_code == 2
    assert "B7" in done.output
    assert _call(scene, "--crop", "1:2").exit_code == 2
    done = _call(scene, "--methods", "slow:dies=1,bicubic", "--cache", tmp_path / "cache")
    assert done.exit_code == 3
    assert "slow:dies=1 failed: method 'slow': got a process killed by signal 9" in done.stdout


@pytest.fixture
def real():
    """A folder of real scenes, where there is one."""
    root = Path(__file__).parents[2]
    folder = Path(os.environ.get("STSFUSION_DATA") or root.parent / "shared" / "data") / "scenes"
    if not folder.is_dir():
        pytest.skip(f"no real scenes: {folder} is missing")
    return folder


def test_a_real_scene_with_gaps_and_a_real_pair(real, tmp_path):
    options = {"cache_dir": tmp_path / "cache", "crop": (slice(0, 40), slice(0, 40))}
    enmap = bench_hsi_msi([real / "enmap_potsdam_west.nc"], ["bicubic"], **options)
    assert enmap["scenes"][0]["scene_shape"] == {"bands": 218, "rows": 40, "cols": 40}
    assert "130, 131, 132, 133, 134, 135" in enmap["scenes"][0]["notes"][0]
    protocol = PairProtocol(ratio=3, psf="fwhm:3", pair="ali")
    paris = bench_hsi_msi([real / "paris_hyperion.nc"], ["bicubic", "gsa:psf=box"], protocol, **options)
    blurred, sharpened = paris["rows"]
    assert sharpened["psnr"] > blurred["psnr"] + 1
