"""Tables of a comparison: every number is there, the best are marked, and what is lost is said."""

import pytest

from stsfusion.pipeline.pairboards import beaten, costs, firsts, medians, scenes
from stsfusion.pipeline.pairstage import SCORES

GOOD = {
    "psnr": 40.0,
    "sam": 1.0,
    "ergas": 0.5,
    "rmse": 0.01,
    "ssim": 0.9,
    "cc": 0.9,
    "uiqi": 0.9,
    "mrae": 0.1,
}
COST = {"fit_s": 1.0, "fuse_s": 0.5, "peak_mb": 10.0}
NO = dict.fromkeys(("coverage90", "coverage90_low", "coverage90_high"))


def row(method, psf="box", scene="field", assumed="", quick=False, **values):
    return {
        "scene": scene, "psf": psf, "method": method, "assumed": assumed, "quick": quick,
        **GOOD, **NO, **COST, **values,
    }  # fmt: skip


def texts(table):
    """Label -> what is shown, by group and line."""
    return {
        (group.title, line.heads[0]): [cell.text for cell in line.cells]
        for group in table.groups
        for line in group.lines
    }


def best(table, label):
    (line,) = [line for group in table.groups for line in group.lines if line.heads[0] == label]
    return [cell.best for cell in line.cells]


def test_every_metric_stands_under_every_footprint():
    rows = [row("a", psf, psnr=30 + i) for i, psf in enumerate(("box", "gaussian:1"))]
    (table,) = scenes([*rows, row("b", "box", psnr=29)])
    assert [span.title for span in table.spans] == ["box", "gaussian:1"]
    assert [column.key for column in table.spans[0].columns] == list(SCORES)
    shown = texts(table)
    assert shown["", "a"][0] == "30.00"
    assert shown["", "a"][8] == "31.00"
    assert shown["", "b"][8:] == ["–"] * 8
    assert len(shown["", "a"]) == 16


def test_the_best_is_marked_over_all_kinds_of_rows():
    rows = [
        row("ours", psnr=41.0, sam=1.2),
        row("gsa*", quick=True),
        row("gsa:psf=box", assumed="box", sam=0.9),
    ]
    (table,) = scenes(rows)
    assert [group.title[:5] for group in table.groups] == ["Point", "Plain"]
    assert best(table, "ours")[:2] == [True, False]
    assert best(table, "gsa")[:2] == [False, True]
    assert "gsa**" in {line.heads[0] for group in table.groups for line in group.lines}


def test_wins_and_losses_are_counted_alike():
    rows = [row("ours", psnr=41.0, sam=1.2), row("gsa", cc=0.95), row("fuse", psnr=None, mrae=0.05)]
    shown = texts(firsts(rows))
    assert shown["", "ours"] == ["1", "0", "1", "1", "1", "0", "1", "0"]
    assert shown["", "gsa"] == ["0", "1", "1", "1", "1", "1", "1", "0"]
    assert shown["", "fuse"][0] == "0"
    assert beaten(rows, "ours") == [
        ("field", "box", "SAM", "1.20", "gsa 1.00"),
        ("field", "box", "CC", "0.9000", "gsa 0.9500"),
        ("field", "box", "MRAE", "0.1000", "fuse 0.0500"),
    ]


def test_a_loss_below_the_digits_shown_is_a_loss():
    rows = [row("ours", sam=1.000002), row("gsa", sam=1.000001)]
    assert beaten(rows, "ours") == [("field", "box", "SAM", "1.000002", "gsa 1.000001")]


def test_what_failed_loses_everything():
    blank = dict.fromkeys(SCORES)
    rows = [row("ours", **blank, error="no"), row("gsa")]
    assert len(beaten(rows, "ours")) == len(SCORES)
    assert beaten(rows, "ours")[0][3:] == ("–", "gsa 40.00")
    alone = [row("ours", **blank)]
    assert [lost[4] for lost in beaten(alone, "ours")] == ["ours –"] * len(SCORES)


def test_medians_are_over_scenes():
    rows = [row("a", scene=name, psnr=value) for name, value in (("x", 30), ("y", 34), ("z", 50))]
    table = medians(rows)
    assert table.title == "Medians over 3 scenes"
    assert texts(table)["", "a"][0] == "34.00"
    assert medians(rows[:1]) is None


def test_costs_show_intervals_where_there_are_any():
    assert [column.key for column in costs([row("a")]).spans[0].columns] == ["fit_s", "fuse_s", "peak_mb"]
    rows = [row("a"), row("b", coverage90=0.9, coverage90_low=0.8, coverage90_high=0.97, fit_s=9.0)]
    shown = texts(costs(rows))
    assert shown["", "a"] == ["1.0", "0.5", "10", "–", "–", "–"]
    assert shown["", "b"] == ["9.0", "0.5", "10", "0.900", "0.800", "0.970"]


@pytest.mark.parametrize("name", SCORES)
def test_no_metric_can_be_lost_in_silence(name):
    worse = GOOD[name] * (0.9 if name in ("psnr", "ssim", "cc", "uiqi") else 1.1)
    rows = [row("ours", **{name: worse}), row("gsa")]
    assert [(lost[2], lost[4].split()[0]) for lost in beaten(rows, "ours")] == [(name.upper(), "gsa")]
