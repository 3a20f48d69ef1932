"""Scenes on their way to cubes: stopped or dead, a run goes on with what lacks, to the same bytes."""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from dying import Death
from small_project import bytes_of, here

sys.path.insert(0, str(Path(__file__).parents[1]))

from deliveries import AHSI, WFV, deliver

from stsfusion.cube.store import CubeStore
from stsfusion.ingest import build
from stsfusion.pipeline import onecode
from stsfusion.running.ledger import Ledger

LATER = WFV.but(lines=40, samples=40, number=1120152346, utc=WFV.utc.replace(day=20))


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopped") / "deliveries"
    deliver(AHSI.but(lines=20, samples=20), folder)
    for order in (WFV.but(lines=40, samples=40), LATER):
        deliver(order, folder)
    return folder


def run(deliveries, out, *words):
    settings = (
        "roles.sharp=null", "ingest.ratios={rich: 3, dense: 1}", "fuse.method=lineartime",
        "fuse.executor=inline", "fit.tiles=1", "evaluate={compare: [], coarser: false}",
        "report.pictures=false", f"scenes={deliveries}", f"output={out}",
    )  # fmt: skip
    sets = [word for text in settings for word in ("--set", text)]
    return here("run", "packages", *sets, "-q", *words)


@pytest.fixture(scope="module")
def whole(deliveries, tmp_path_factory):
    """The cubes of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    ended = run(deliveries, out)
    assert ended.exit_code == 0, ended.output
    return bytes_of(out / "cubes.zarr")


def counted(monkeypatch, spoil):
    """Keys that are made; `spoil` is told of how many have been noted, before each is."""
    noted, keys = Ledger.record, []

    def record(self, key, end):
        if "ingest" in str(self.path):
            spoil(len(keys))
            keys.append(key)
        noted(self, key, end)

    monkeypatch.setattr(Ledger, "record", record)
    return keys


def died(deliveries, out, monkeypatch, *words):
    """A run that ends before its third tile is noted."""

    def die(done):
        if done == 2:
            raise Death

    with monkeypatch.context() as patch:
        counted(patch, die)
        with pytest.raises(Death):
            run(deliveries, out, *words)


def test_a_run_that_died_makes_what_lacks(deliveries, whole, tmp_path, monkeypatch):
    died(deliveries, tmp_path / "out", monkeypatch)
    assert CubeStore(tmp_path / "out" / "cubes.zarr").names() == []
    keys = counted(monkeypatch, lambda done: None)
    ended = run(deliveries, tmp_path / "out")
    assert ended.exit_code == 0, ended.output
    assert len(keys) == 1
    assert bytes_of(tmp_path / "out" / "cubes.zarr") == whole


def test_ctrl_c_ends_with_75_and_keeps_tiles(deliveries, whole, tmp_path, monkeypatch):
    def stop(done):
        if done == 0:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            first = counted(patch, stop)
            ended = run(deliveries, tmp_path / "out")
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.exit_code == 75, ended.output
    assert len(first) == 1
    keys = counted(monkeypatch, lambda done: None)
    assert run(deliveries, tmp_path / "out").exit_code == 0
    assert len(keys) == 2
    assert not set(keys) & set(first)
    assert bytes_of(tmp_path / "out" / "cubes.zarr") == whole


def test_tiles_that_failed_keep_the_others(deliveries, whole, tmp_path, monkeypatch):
    made = build.ingest_tile

    def torn(folder, stamp, key):
        if key.startswith("rich"):
            raise OSError(28, "No space left on device")
        return made(folder, stamp, key)

    with monkeypatch.context() as patch:
        patch.setattr(build, "ingest_tile", torn)
        ended = run(deliveries, tmp_path / "out")
    assert ended.exit_code == 2
    assert "No space left" in " ".join(ended.stderr.split())
    asked = []
    with monkeypatch.context() as patch:  # the run has looked at its code; workers find another
        patch.setattr(onecode, "_ours", lambda parts: asked.append(parts) or f"{len(asked) > 1}")
        ended = run(deliveries, tmp_path / "out")
    assert ended.exit_code == 2
    assert "the plan (False), got another one (True" in " ".join(ended.stderr.split())
    keys = counted(monkeypatch, lambda done: None)
    assert run(deliveries, tmp_path / "out").exit_code == 0
    assert [key.split()[0] for key in keys] == ["rich"]
    assert bytes_of(tmp_path / "out" / "cubes.zarr") == whole


def test_other_settings_begin_anew(deliveries, whole, tmp_path, monkeypatch):
    died(deliveries, tmp_path / "out", monkeypatch, "--set", "ingest.terrain=200.0")
    keys = counted(monkeypatch, lambda done: None)
    assert run(deliveries, tmp_path / "out").exit_code == 0
    assert len(keys) == 3
    assert bytes_of(tmp_path / "out" / "cubes.zarr") == whole


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("kind, made", [("rich/reflectance/c/0", 1), ("dense/wavelength/c", 3)])
def test_cubes_that_a_disk_has_changed_are_made_again(deliveries, whole, tmp_path, monkeypatch, kind, made):
    """A tile is made again with its cube alone; without its labels nothing can be gone on from."""
    out = tmp_path / "out"
    assert run(deliveries, out).exit_code == 0
    series = bytes_of(out / "fused.zarr")
    flip(next(path for path in (out / "cubes.zarr" / kind).rglob("*") if path.is_file()))
    shutil.rmtree(out / "fused.zarr")
    keys = counted(monkeypatch, lambda done: None)
    ended = run(deliveries, out)
    assert ended.exit_code == 0, ended.output
    assert len(keys) == made
    assert bytes_of(out / "cubes.zarr") == whole
    assert bytes_of(out / "fused.zarr") == series
