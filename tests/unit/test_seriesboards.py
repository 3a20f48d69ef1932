"""Tables of a comparison on series: spans of dates, parts of the spectrum, dates, costs, and what is lost."""

from __future__ import annotations

from stsfusion.pipeline.seriesboards import beaten, boards, costs, dates

GOOD = {"cc": 0.9, "sam": 2.0, "psnr": 30.0, "ssim": 0.8, "rmse": 0.01, "ergas": 1.0}
COST = {"fit_s": 1.0, "fuse_s": 0.5, "peak_mb": 10.0}
ALL = ("all", "observed", "missing")


def rows(method, scene="s", subsets=ALL, quick=False, **values):
    return [
        {"scene": scene, "method": method, "quick": quick, "subset": subset, **GOOD, **COST, **values}
        for subset in subsets
    ]


def cells(table, name):
    (line,) = [line for group in table.groups for line in group.lines if line.heads[0] == name]
    return [cell.text for cell in line.cells], [cell.best for cell in line.cells]


def test_one_table_has_all_dates_those_seen_and_those_missed_with_time():
    (table,) = boards([*rows("a", sam=1.5), *rows("b", quick=True)])
    assert [span.title for span in table.spans] == [
        "All dates",
        "Dates that the hyperspectral sensor saw",
        "Dates that it missed",
    ]
    assert [column.key for column in table.spans[0].columns] == ["cc", "sam", "psnr", "ssim", "time_s"]
    shown, marks = cells(table, "a")
    assert shown == ["0.9000", "1.50", "30.00", "0.8000", "1.5"] * 3
    assert marks[1]
    assert not cells(table, "b*")[1][1]


def test_parts_of_the_spectrum_stand_apart_where_there_are_both():
    parts = (*ALL, "all/vnir", "all/swir", "missing/vnir", "missing/swir")
    whole, apart = boards(rows("a", subsets=parts) + rows("a", scene="other")[:0])
    assert [span.title for span in apart.spans] == [
        "All dates, VNIR",
        "All dates, SWIR",
        "Missed dates, VNIR",
        "Missed dates, SWIR",
    ]
    assert len(cells(apart, "a")[0]) == 16
    assert "SWIR" not in whole.title


def test_every_series_has_its_own_and_failures_show_dashes():
    failed = {**rows("b", subsets=("all",))[0], **dict.fromkeys((*GOOD, *COST)), "error": "out of luck"}
    first, second = boards([*rows("a"), failed, *rows("a", scene="t")])
    assert cells(first, "b")[0] == ["–"] * 15
    assert second.title.startswith("t,")


def test_dates_stand_side_by_side_and_say_which_were_missed():
    per_date = [
        {"scene": "s", "method": m, "time": time, "subset": subset, **GOOD, "sam": sam}
        for m, sam in (("a", 1.0), ("b", 3.0))
        for time, subset in (
            ("2022-01-01", "observed"),
            ("2022-01-20", "missing"),
            ("2022-01-20", "missing/swir"),
        )
    ]
    tables = dates(per_date)
    assert [table.title for table in tables] == [
        "s: CC by date",
        "s: SAM (°) by date",
        "s: PSNR (dB) by date",
        "s: SSIM by date",
    ]
    (span,) = tables[1].spans
    assert [(column.label, column.unit) for column in span.columns] == [
        ("2022-01-01", "seen"),
        ("2022-01-20", "missed"),
    ]
    assert cells(tables[1], "a") == (["1.00", "1.00"], [True, True])


def test_costs_are_summed_over_series():
    table = costs([*rows("a"), *rows("a", scene="t", peak_mb=20.0)])
    assert cells(table, "a")[0] == ["2.0", "1.0", "20"]


def test_what_is_lost_is_listed_with_who_is_better():
    table = [*rows("a", sam=1.5), *rows("b", psnr=31.0, subsets=ALL)]
    lost = beaten(table, "a")
    assert lost[0] == ("s", "All dates", "PSNR", "30.00", "b 31.00")
    assert len(lost) == 3
    assert {row[2] for row in beaten(table, "b")} == {"SAM"}
