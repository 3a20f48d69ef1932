"""A store lives a random life of additions, replacements and deaths, and shows what a dictionary says.

Series are added to at their end, lose dates and are reprocessed as the next generation; any of these may die
at any file operation, be taken up again or be given up for another plan. After every step a reader sees
exactly one of the series that were ever finished: the last one, or the one that was being published.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from faults.lives import live
from faults.mishap import Death, mishap
from faults.tally import Strike
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from stsfusion.cube.generations import Generations, carry
from stsfusion.cube.grid import Grid
from stsfusion.cube.publication import Publication
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.cube.verification import verify
from stsfusion.window import Window

DAY = 86_400_000
ROWS, COLS, SHARD, BANDS = 4, 8, 4, 2


def spec_of(series, number):
    return CubeSpec(
        Grid((ROWS, COLS), 10.0, (500_000.0, 4_000_000.0), "EPSG:32650"),
        tuple(day * DAY for day in sorted(series)),
        ("a", "b"),
        (500.0, 600.0),
        shard=SHARD,
        inner=SHARD,
        attributes={"plan": number},
    )


def counts_of(day, version):
    """(band, y, x) whole counts of reflectance, another for every pixel, day and version."""
    place = np.arange(BANDS * ROWS * COLS).reshape(BANDS, ROWS, COLS)
    return (place + 31 * day + 977 * version) % 9000


class Life(RuleBasedStateMachine):
    """The store and its model: what is shown, and what is on its way."""

    tally = None

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="life-"))
        self.place = self.folder / "fused.zarr"
        self.next = self.folder / ".next.zarr"
        self.generations = Generations(self.place, self.folder / "generations")
        self.shown, self.number = None, 0
        self.wanted = None

    def teardown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    # ------------------------------------------------------------ what is done

    @rule(
        days=st.sets(st.integers(0, 6), min_size=1, max_size=3),
        version=st.integers(0, 3),
        end=st.integers(0, 90),
    )
    def begin_anew(self, days, version, end):
        """Ingest: a whole series, in place of what is there."""
        self.aim(dict.fromkeys(days, version), end)

    @precondition(lambda self: self.shown)
    @rule(more=st.integers(1, 2), version=st.integers(0, 3), end=st.integers(0, 90))
    def add(self, more, version, end):
        """Further dates at the end."""
        last = max(self.shown)
        self.aim({**self.shown, **{last + 1 + k: version for k in range(more)}}, end)

    @precondition(lambda self: self.shown and len(self.shown) > 1)
    @rule(which=st.integers(0, 9), end=st.integers(0, 90))
    def drop(self, which, end):
        """One date fewer."""
        gone = sorted(self.shown)[which % len(self.shown)]
        self.aim({day: version for day, version in self.shown.items() if day != gone}, end)

    @precondition(lambda self: self.shown)
    @rule(which=st.integers(0, 9), version=st.integers(4, 9), end=st.integers(0, 90))
    def reprocess(self, which, version, end):
        """One date anew, or a late one between others."""
        days = sorted(self.shown)
        self.aim({**self.shown, days[which % len(days)]: version}, end)

    @precondition(lambda self: self.wanted is not None)
    @rule(end=st.integers(0, 200))
    def resume(self, end):
        """The same plan again, after a death."""
        self.carry_on(end)

    def aim(self, series, end):
        if series != self.shown:
            self.number += 1
            self.wanted = (series, self.number)
            self.carry_on(end)

    def carry_on(self, end):
        """Bring the store to what is wanted; alive when `end` operations do not suffice to die."""
        series, number = self.wanted
        try:
            with mishap(self.folder, end) as fate:
                self.bring(series, number)
        except Death:
            self.note(fate.point)
            seen = self.look()
            assert seen in (self.shown, series), f"neither old nor new after {fate.point}: {seen}"
            self.shown = seen
            return
        self.shown, self.wanted = series, None

    def bring(self, series, number):
        """As a run does: every step of it may be done again."""
        if self.place.exists():
            Publication(self.place).recover()
        if self.shown is not None and self.plan_of(self.place) == number and series == self.shown:
            self.settle()
            return
        days = sorted(series)
        known = self.shown or {}
        stays = bool(known) and all(series.get(day) == version for day, version in known.items())
        if stays and min(series.keys() - known.keys()) > max(known):
            self.extend(series, days, number)
        else:
            self.replace(series, days, number)
        self.settle()

    def extend(self, series, days, number):
        store = CubeStore(self.place)
        if self.plan_of(self.place, staged=True) != number:
            store.discard()
        old = len(self.shown)
        store.extend("", [day * DAY for day in days[old:]], {"plan": number})
        for at, day in list(enumerate(days))[old:]:
            self.write(store, at, day, series[day])
        store.publish()

    def replace(self, series, days, number):
        if self.plan_of(self.next) != number:
            if self.plan_of(self.next, staged=True) != number:
                shutil.rmtree(self.next, ignore_errors=True)
            store = CubeStore(self.next)
            store.create("", spec_of(series, number))
            known = sorted(self.shown or {})
            same = {known.index(d): days.index(d) for d in known if (self.shown or {})[d] == series.get(d)}
            if same:
                CubeStore(self.place).discard()
                carry(self.place, self.next, same)
            for at, day in enumerate(days):
                if at not in same.values():
                    self.write(store, at, day, series[day])
            store.publish()
        if self.place.exists():
            CubeStore(self.place).discard()
        self.generations.succeed(self.next)

    def settle(self):
        """Put aside what a death left in the way of the next generation."""
        shutil.rmtree(self.next, ignore_errors=True)

    def write(self, store, at, day, version):
        values = counts_of(day, version)[None] * np.float32(1e-4)
        for col in range(0, COLS, SHARD):
            window = Window((at, at + 1), (0, ROWS), (col, col + SHARD))
            part = values[..., col : col + SHARD]
            store.write("", window, part, np.ones(part.shape, dtype=bool))

    # ------------------------------------------------------------ what is seen

    def plan_of(self, path, staged=False):
        publication = Publication(path)
        listing = (publication.upcoming() if staged else publication.published()).get("")
        return None if listing is None else listing.attributes.get("plan")

    def look(self):
        """What a reader sees, as {day: version}; None: no series."""
        if not (self.place / "zarr.json").exists():
            return None
        with xr.open_zarr(self.place, chunks=None, mask_and_scale=False, decode_times=False) as series:
            days = [int(time) // DAY for time in series.time.values]
            counts = series.reflectance.values
            assert series.valid.values.all()
            assert (series.x.values == 500_005.0 + 10.0 * np.arange(COLS)).all()
        found = {}
        for at, day in enumerate(days):
            versions = [v for v in range(10) if (counts_of(day, v) == counts[at]).all()]
            assert len(versions) == 1, f"day {day} is of no version, or torn"
            found[day] = versions[0]
        return found

    @invariant()
    def a_reader_sees_what_was_finished(self):
        assert self.look() == self.shown

    @invariant()
    def verify_agrees(self):
        if self.shown is None:
            return
        publication = Publication(self.place)
        if publication.pending and publication.staged() == publication.published():
            return  # verify asks for the publication to be finished first, which the next step does
        assert verify(self.place).damages == ()

    @precondition(lambda self: self.wanted is None)
    @invariant()
    def nothing_is_left_lying_about(self):
        left = [p.name for p in self.folder.rglob("*") if p.name.endswith((".partial", ".new"))]
        assert not left
        assert not self.next.exists()

    def note(self, point):
        if self.tally is not None:
            phase = "next generation" if ".next" in point else "series"
            self.tally.strikes.append(Strike("store killed in a random life", phase, point, "hypothesis"))


def test_random_lives_of_a_store(tally):
    live(Life, tally, 12, 15)
    assert len(tally.strikes) > 40


@pytest.mark.slow
@pytest.mark.timeout(10_000)
def test_many_random_lives_of_a_store(tally):
    live(Life, tally, 200, 50)
    assert len(tally.strikes) > 1000
