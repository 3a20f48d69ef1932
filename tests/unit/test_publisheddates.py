"""A run tells which dates it uses and does not publish, and how to ask for them."""

from __future__ import annotations

from datetime import date, timedelta

from stsfusion.pipeline.publisheddates import left_out

FIRST, LAST = date(2021, 12, 13), date(2021, 12, 16)


def test_dates_of_others_are_named_with_how_to_ask_for_them():
    said = left_out({"rich": [FIRST], "sharp": [FIRST], "dense": [LAST]}, None)
    assert said == (
        " The series has the dates of 'dense'. Not published, though used: 2021-12-13, seen by others only; "
        "for all dates say --set fuse.dates=[2021-12-13/2021-12-16]."
    )


def test_nothing_is_told_where_nothing_is_left_out():
    days = {"rich": [FIRST], "dense": [LAST]}
    assert left_out(days, ["2021-12"]) == ""
    assert left_out({"rich": [FIRST], "sharp": [LAST]}, None) == ""
    assert left_out({"rich": [FIRST], "dense": [FIRST, LAST]}, None) == ""


def test_many_dates_are_counted():
    days = [FIRST + timedelta(days=i) for i in range(20)]
    assert "2021-12-17 and 15 more, seen" in left_out({"rich": days, "dense": [date(2022, 3, 1)]}, None)
