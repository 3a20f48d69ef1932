"""VNIR and SWIR: which bands belong where, and that a series is scored apart in them."""

from __future__ import annotations

import numpy as np
import torch

from stsfusion.forward.simulate import Protocol
from stsfusion.fusion.answer import Answer
from stsfusion.pipeline.ranges import ranges
from stsfusion.pipeline.stage import SeriesStage
from stsfusion.pipeline.truth import Truth


def test_bands_are_parted_at_one_micrometre_in_any_order():
    assert ranges([2200.0, 450.0, 1000.0, 1000.5]) == {"vnir": [1, 2], "swir": [0, 3]}


def test_where_all_lie_in_one_part_there_are_none():
    assert ranges([450.0, 900.0]) == {}
    assert ranges([1600.0, 2200.0]) == {}


def test_a_series_is_scored_in_both_parts():
    nm = np.array([450.0, 560.0, 660.0, 830.0, 1600.0, 2200.0])
    values = np.random.default_rng(0).random((3, 6, 12, 12)).astype(np.float32)
    stamps = ("2022-01-01", "2022-01-17", "2022-02-02")
    truth = Truth("t", values, np.ones(values.shape, bool), nm, None, stamps, np.array([0.0, 16.0, 32.0]))
    off = torch.from_numpy(values).clone()
    off[:, 4:] += 0.1
    table = SeriesStage(truth, Protocol()).judge(Answer(off, torch.ones(3, 1, 12, 12, dtype=torch.uint8)))
    found = {row["subset"]: row["rmse"] for row in table["rows"]}
    assert list(found)[:3] == ["all", "observed", "missing"]
    for subset in ("all", "observed", "missing"):
        assert found[f"{subset}/vnir"] == 0.0
        np.testing.assert_allclose(found[f"{subset}/swir"], 0.1, rtol=1e-4)
    assert [(row["time"], row["subset"]) for row in table["per_date"][:3]] == [
        ("2022-01-01", "observed"),
        ("2022-01-01", "observed/vnir"),
        ("2022-01-01", "observed/swir"),
    ]
    assert len(table["per_date"]) == 9


def test_stated_deviations_are_judged_by_dates_and_parts():
    nm = np.array([450.0, 560.0, 1600.0, 2200.0])
    dice = np.random.default_rng(1)
    values = dice.random((3, 4, 32, 33)).astype(np.float32)
    stamps = ("2022-01-01", "2022-01-17", "2022-02-02")
    truth = Truth("t", values, np.ones(values.shape, bool), nm, None, stamps, np.array([0.0, 16.0, 32.0]))
    sigma = torch.from_numpy(0.01 + 0.1 * dice.random((3, 4, 36, 36)).astype(np.float32))
    stage = SeriesStage(truth, Protocol())
    drawn = torch.from_numpy(dice.standard_normal(sigma.shape).astype(np.float32))
    near = stage.problem.truth + sigma * drawn
    sigma[1, 2:] *= 0.1
    answer = Answer(near, torch.ones(3, 1, 36, 36, dtype=torch.uint8), sigma)
    found = {row["subset"]: row for row in stage.judge(answer)["rows"]}
    np.testing.assert_allclose(found["missing/vnir"]["coverage90"], 0.9, atol=0.02)
    np.testing.assert_allclose(found["observed"]["coverage90"], 0.9, atol=0.02)
    assert found["missing/swir"]["coverage90"] < 0.2
    assert found["observed"]["sigma_rank"] > 0.4
    blunt = stage.judge(Answer(near, torch.ones(3, 1, 36, 36, dtype=torch.uint8)))["rows"]
    assert "coverage90" not in blunt[0]
