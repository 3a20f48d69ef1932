"""Tally: the faults that struck, where, and what was lost by them; counted in each test, told at the end."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["KEY", "Strike", "Tally", "gathered", "tell"]

KEY = "faults"
"""Under which a test's counts travel with its report, from a worker process too."""


@dataclass(frozen=True)
class Strike:
    """One fault that is proven to have struck."""

    kind: str
    """Such as `driver killed`."""

    phase: str
    """The phase of the run, such as `tile`."""

    point: str
    """The very operation, such as `rename .fused-….zarr/zarr.json`."""

    seed: str
    """What it was drawn from, to strike there again."""


@dataclass
class Tally:
    """Counts of one test."""

    strikes: list[Strike] = field(default_factory=list)
    """Faults, in their order."""

    drawn_again: int = 0
    """Attempts that struck nothing and were not counted."""

    lost: list[str] = field(default_factory=list)
    """Committed data that were gone after a fault."""

    corrupt: list[str] = field(default_factory=list)
    """Wrong data that were shown without a word."""

    def of(self, kind: str) -> int:
        """How many faults of a kind struck."""
        return sum(strike.kind == kind for strike in self.strikes)

    @property
    def phases(self) -> set[str]:
        """Where they struck."""
        return {strike.phase for strike in self.strikes}


def gathered(reports: list[Any]) -> Tally:
    """The counts of many tests, from their reports."""
    whole = Tally()
    for report in reports:
        for key, value in getattr(report, "user_properties", ()):
            if key == KEY and report.when == "teardown":
                found = json.loads(value)
                whole.strikes += [Strike(**strike) for strike in found["strikes"]]
                whole.drawn_again += found["drawn_again"]
                whole.lost += found["lost"]
                whole.corrupt += found["corrupt"]
    return whole


def tell(terminalreporter: Any) -> None:
    """Say how many faults were injected, where they struck, and what they did."""
    reports = [
        report for kind in terminalreporter.stats.values() for report in kind if hasattr(report, "when")
    ]
    whole = gathered(reports)
    if not whole.strikes:
        return
    write = terminalreporter.write_line
    terminalreporter.section("faults")
    for kind in sorted({strike.kind for strike in whole.strikes}):
        own = [strike for strike in whole.strikes if strike.kind == kind]
        where = ", ".join(f"{phase} {n}" for phase, n in Counter(s.phase for s in own).most_common())
        write(f"{kind}: {len(own)} ({where})")
    write(
        f"{len(whole.strikes)} faults injected, {len(whole.lost)} committed data lost, "
        f"{len(whole.corrupt)} silent corruptions ({whole.drawn_again} attempts struck nothing: not counted)"
    )
    for words in (*whole.lost, *whole.corrupt):
        write(f"  {words}")
    if place := os.environ.get("STSFUSION_FAULT_LOG"):
        lines = [json.dumps(asdict(strike)) for strike in whole.strikes]
        Path(place).write_text("\n".join(lines) + "\n", encoding="utf-8")
