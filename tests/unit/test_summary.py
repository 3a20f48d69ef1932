"""Medians and wins over scenes, by hand."""

from __future__ import annotations

from stsfusion.pipeline.summary import summary


def _row(scene, method, psnr, sam, psf="box"):
    return {"scene": scene, "psf": psf, "method": method, "psnr": psnr, "sam": sam, "ergas": psnr}


ROWS = [
    _row("a", "x", 30.0, 2.0), _row("a", "y", 31.0, 2.0), _row("a", "z", None, None),
    _row("b", "x", 40.0, 1.0), _row("b", "y", 35.0, 3.0), _row("b", "z", 39.0, 4.0),
    _row("c", "x", 20.0, 5.0), _row("c", "y", 21.0, 6.0), _row("c", "z", 22.0, 7.0),
]  # fmt: skip


def test_medians_and_wins():
    lines = {line["method"]: line for line in summary(ROWS)}
    assert (lines["x"]["psnr"], lines["y"]["psnr"], lines["z"]["psnr"]) == (30.0, 31.0, 30.5)
    assert [lines[name]["psnr_wins"] for name in "xyz"] == [1, 1, 1]
    assert [lines[name]["sam_wins"] for name in "xyz"] == [3, 1, 0]
    assert [lines[name]["scenes"] for name in "xyz"] == [3, 3, 2]


def test_the_best_stands_first():
    assert [line["method"] for line in summary(ROWS)] == ["y", "z", "x"]


def test_point_spread_functions_are_told_apart():
    rows = ROWS + [{**row, "psf": "fwhm:4", "psnr": 10.0} for row in ROWS]
    assert [(line["psf"], line["psnr_wins"]) for line in summary(rows)][3:] == [("fwhm:4", 3)] * 3


def test_one_scene_needs_no_summary_and_a_lost_method_has_none():
    assert summary(ROWS[:3]) == []
    lines = summary([*ROWS, *(_row(scene, "lost", None, None) for scene in "abc")])
    assert lines[-1] == {
        "psf": "box", "method": "lost", "scenes": 0, "psnr": None, "sam": None, "ergas": None,
        "psnr_wins": 0, "sam_wins": 0,
    }  # fmt: skip
