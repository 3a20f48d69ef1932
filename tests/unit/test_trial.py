"""A trial's memory meter and its choice of tiles; the process itself is in tests/flow/test_benchmark.py."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
import torch

from stsfusion.fusion.problem import Observation, Problem, Target
from stsfusion.operators.blur import box_kernel
from stsfusion.operators.degradation import Degradation
from stsfusion.pipeline import trial
from stsfusion.pipeline.trial import Peak, samples


def test_the_peak_is_what_was_held_for_a_moment():
    with Peak() as peak:
        held, patience = np.ones(100 * 2**20, dtype=np.uint8), time.monotonic() + 30
        while peak.mb < 95 and time.monotonic() < patience:
            time.sleep(0.01)  # on a busy machine the meter does not get its turn at once
        del held
    assert 95 < peak.mb < 140


def test_the_peak_starts_at_what_is_already_held():
    held = np.ones(100 * 2**20, dtype=np.uint8)
    with Peak() as peak:
        held.sum()
    assert peak.mb < 20


def _problem(rows, cols):
    shape = (2, 1, rows, cols)
    view = Degradation.of(shape, dates=[0], kernel=box_kernel(3), ratio=3)
    rich = Observation(torch.zeros(view.out_shape), torch.ones(1, 1, 1, 1, dtype=torch.bool), view)
    return Problem(Target(shape, torch.tensor([550.0]), torch.tensor([0.0, 1.0])), rich=rich)


def test_small_scenes_are_fitted_whole():
    problem = _problem(300, 120)
    assert samples(problem)[0] is problem


def test_large_scenes_are_fitted_on_seeded_tiles():
    tiles = samples(_problem(600, 900))
    assert {tile.target.shape for tile in tiles} == {(2, 1, 255, 255)}
    assert len(tiles) == 16


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path, monkeypatch):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stay = [f"stsfusion-trial-{os.getpid()}-abc", "stsfusion-abc", "stsfusion-trial-mine-abc", "other"]
    for name in (f"stsfusion-trial-{gone.pid}-abc", *stay):
        (tmp_path / name).mkdir()
        (tmp_path / name / "task.pickle").write_bytes(b"question")
    trial._sweep()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(stay)


def test_an_attempt_sweeps_and_names_its_folder_after_its_process(tmp_path, monkeypatch):
    seen = []

    def watch(folder, tick):
        seen.append(folder)
        return 0

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(trial, "_sweep", lambda: seen.append("swept"))
    monkeypatch.setattr(trial, "_watch", watch)
    with pytest.raises(FileNotFoundError):
        trial.attempt(_problem(30, 30), {"name": "bicubic"})
    assert seen[0] == "swept"
    assert seen[1].name.startswith(f"stsfusion-trial-{os.getpid()}-")
    assert not seen[1].exists()
