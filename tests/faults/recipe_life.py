"""A recipe lives a random life: scenes come, come late, come again and go; runs die at any file operation.

After each step a reader finds the series of what had come in before, or of what has come in since: every day
of it, with the values of its closed form, and nothing else.
"""

import multiprocessing
import os
import shutil
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from faults.lives import live as lives_of
from faults.mishap import Death, mishap
from faults.nights import Input, expected, quickly, recipe_in, seen_in, stsfusion
from faults.tally import Strike, Tally
from faults.watch import phase_of
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from stsfusion.cube.generations import Generations
from stsfusion.cube.verification import verify

__all__ = ["Life", "live", "live_in_lots"]

CLOSE = 1.5e-4
"""Of values that are kept as whole counts of 1e-4, before they are interpolated and after."""

DAYS = st.integers(0, 8)
ENDS = st.sampled_from([640, None, 410, 90, 560, None, 700, 250, 480, None, 30, 600, 330, 760, 520])
"""After how many file operations a run dies, of some 400 to 800; None: it lives."""


class Life(RuleBasedStateMachine):
    """A recipe's folder and its model: what has come in, and what of it is shown."""

    tally = None

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="nights-"))
        self.recipe = recipe_in(self.folder)
        self.out = self.folder / "out"
        self.series = self.out / "fused.zarr"
        self.shown, self.stopped = None, None
        self.known = Input({0: 0}, frozenset({0}))

    def teardown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    # ------------------------------------------------------------ what is done

    @initialize(end=ENDS)
    def ingest(self, end):
        """The first run."""
        self.comes(self.known, ["run"], end)

    @rule(day=DAYS, end=ENDS)
    def add_or_reprocess(self, day, end):
        """A hyperspectral scene: new, late, or one that was there, processed anew."""
        again = self.known.rich.get(day, -1) + 1
        self.comes(replace(self.known, rich={**self.known.rich, day: again}), ["update"], end)

    @rule(day=DAYS, end=ENDS)
    def ask_for(self, day, end):
        """A day between, on which another sensor looked."""
        self.comes(replace(self.known, sharp=self.known.sharp | {day}), ["update"], end)

    @precondition(
        lambda self: self.stopped is None and len(self.known.rich) > 1 and len(self.known.sharp) > 1
    )
    @rule(which=st.integers(0, 17), end=ENDS)
    def drop(self, which, end):
        """A date goes: a published one is kept against an update, and only lost when that is said."""
        day = self.known.days[which % len(self.known.days)]
        rich = {each: again for each, again in self.known.rich.items() if each != day}
        fewer = Input(rich, self.known.sharp - {day})
        if not fewer.rich or not fewer.sharp:
            return
        fewer.deliver(self.folder)
        done = stsfusion("update", self.recipe, "-q")
        assert done.exit_code == 2, done.output
        assert "without input" in done.stderr
        self.a_reader_finds_what_had_come_in()
        self.comes(fewer, ["run", "--overwrite"], end)

    @precondition(lambda self: self.stopped)
    @rule(end=ENDS)
    def resume(self, end):
        """The same command again, after a death."""
        self.comes(self.known, self.stopped, end)

    @rule(keep=st.integers(1, 3), end=st.none() | st.integers(0, 20))
    def collect_garbage(self, keep, end):
        """Old generations go, and what was left half done."""
        try:
            with mishap(self.out, 10**9 if end is None else end) as fate:
                done = stsfusion("gc", self.recipe, "--keep", keep)
        except Death:
            self.note(fate.point)
            return
        assert done.exit_code == 0, done.output
        assert len(Generations(self.series, self.out / ".stsfusion/generations").older()) <= keep - 1
        assert not list(self.out.glob(".fused-*"))

    @precondition(lambda self: self.shown is not None)
    @rule()
    def export(self):
        """What other programs are given is what readers of the series find."""
        if not self.settled():
            return
        place = self.folder / "given"
        done = stsfusion("export", self.series, "--format", "netcdf", "--out", place, "--overwrite", "-q")
        assert done.exit_code == 0, done.output
        (file,) = place.glob("*.nc")
        assert shows(seen_in(file), self.shown)

    @precondition(lambda self: self.shown is not None and self.stopped is None)
    @rule()
    def update_for_nothing(self):
        """Nothing new: not a byte changes."""
        before = {path: path.stat().st_mtime_ns for path in self.series.rglob("*")}
        assert stsfusion("update", self.recipe, "-q").exit_code == 0
        assert {path: path.stat().st_mtime_ns for path in self.series.rglob("*")} == before

    def comes(self, known, words, end):
        """Deliver, and let a command bring the series to it, unless it dies before."""
        known.deliver(self.folder)
        words = self.stopped if self.stopped and "--overwrite" in self.stopped else words
        self.known = known
        try:
            with mishap(self.out, 10**9 if end is None else end) as fate:
                done = stsfusion(words[0], self.recipe, "-q", *words[1:])
        except Death:
            self.note(fate.point)
            found = seen_in(self.series)
            assert shows(found, self.shown) or shows(found, known), f"neither old nor new after {fate.point}"
            self.shown = known if shows(found, known) else self.shown
            self.stopped = words
            return
        assert done.exit_code == 0, f"{words} of {known}\n{done.output}\n{done.stderr}"
        self.shown, self.stopped = known, None

    # ------------------------------------------------------------ what is seen

    @invariant()
    def a_reader_finds_what_had_come_in(self):
        assert shows(seen_in(self.series), self.shown)

    @invariant()
    def verify_agrees(self):
        if self.shown is not None and self.settled():
            assert verify(self.series).damages == ()

    def settled(self):
        """Whether no publication waits to be finished by the next command."""
        return not (self.series / ".staged.json").exists()

    def note(self, point):
        if self.tally is not None:
            deed, _, path = point.partition(" ")
            self.tally.strikes.append(
                Strike("recipe killed in a random life", phase_of(deed, path), point, "hypothesis")
            )


def shows(found, known):
    """Whether what a reader finds is the series of what had come in."""
    if found is None or known is None:
        return found is known
    days, values = found
    return days == known.days and np.allclose(values, expected(known), rtol=0.0, atol=CLOSE)


def live(tally, lives, steps, lot=0):
    """Live in this process."""
    with quickly():
        lives_of(Life, tally, lives, steps, lot)


def live_in_lots(tally, lots, lives, steps):
    """So many lots of lives, each drawn from a seed of its own, as many at a time as there are cores."""
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(_lot, lot, lives, steps) for lot in range(lots)]
        try:
            for lot, done in enumerate(waiting, start=1):
                tally.strikes += done.result().strikes
                print(f"{lot * lives} of {lots * lives} lives, {len(tally.strikes)} kills", flush=True)
        finally:
            pool.shutdown(cancel_futures=True)


def _lot(lot, lives, steps):
    """One lot, in a process of its own that is as strict with warnings as the tests are."""
    warnings.simplefilter("error")
    tally = Tally()
    live(tally, lives, steps, lot)
    return tally
