"""Written times: with and without a zone, and all that is none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from stsfusion.ingest.metadata import moment
from stsfusion.ingest.refusal import DeliveryError

SAID = datetime(2021, 12, 13, 2, 58, 31)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2021-12-13 02:58:31", SAID),
        ("2021-12-13T02:58:31Z", SAID.replace(tzinfo=UTC)),
        ("2021-12-13T02:58:31+00:00", SAID.replace(tzinfo=UTC)),
        ("2021-12-13T10:58:31+08:00", SAID.replace(tzinfo=UTC)),
        ("2021-12-13T10:58:31.5+0800", SAID.replace(microsecond=500_000, tzinfo=UTC)),
        ("2021-12-12T21:28:31-05:30", SAID.replace(tzinfo=UTC)),
    ],
)
def test_times_may_have_any_zone(text, time):
    found = moment(Path("note"), text)
    assert found == time
    assert found.tzinfo is time.tzinfo


@pytest.mark.parametrize(
    "text",
    [
        None,
        "2021-12-13",
        "2021-12-13T02:58:31+08:99",
        "2021-12-13T02:58:31+25:00",
        "2021-12-13T02:58:31+8",
        "0001-01-01T00:00:00+08:00",
    ],
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(DeliveryError, match="note: time"):
        moment(Path("note"), text)
