"""Tally: how far the tiles of a run are, with what each worker of an array noted in a file of its own."""

from __future__ import annotations

from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.words import duration
from stsfusion.running.ledger import Ledger
from stsfusion.running.notes import Notes
from stsfusion.running.outcome import Failure, Success

__all__ = ["tally"]


def tally(folder: Folder, series: str, since: str | None = None) -> list[tuple[str, str]]:
    """States of tiles, what each worker did, and why tiles failed, as lines of two words; none: not begun.

    Parameters
    ----------
    series
        The fingerprint of the series that is made.
    since
        When those who are at work began (UTC); None: nobody is at work.
    """
    notes = Notes(folder.notes(series))
    with Ledger.open(folder.ledger, series, readonly=True) as ledger:
        total = sum(ledger.summary().values())
        done = {record["key"] for record in ledger.records()}
        failures = ledger.failures()
        lately, passed = _lately(ledger, notes, since)
    if not total:
        return []
    ends = notes.ends()
    done |= {key for key, end in ends.items() if isinstance(end, Success)}
    failures |= {key: str(end) for key, end in ends.items() if isinstance(end, Failure)}
    failures = {key: why for key, why in failures.items() if key not in done}
    counts = {"planned": total - len(done) - len(failures), "done": len(done), "failed": len(failures)}
    lines = [(f"tiles {state}", str(count)) for state, count in counts.items()]
    if lately and counts["planned"]:
        lines += _pace(lately, counts["planned"], passed)
    there = notes.at_work()
    for worker, (well, badly) in notes.tally().items():
        now = ", at work" * (worker in there)
        lines.append((f"  worker {worker}", f"{well} done, {badly} failed{now}"))
    return lines + [(f"  {key}", why) for key, why in failures.items()]


def _lately(ledger: Ledger, notes: Notes, since: str | None) -> tuple[int, float]:
    """Tiles that those who are at work have done, and in how many seconds: by notes or ledger."""
    if since is None:
        return 0, 0.0
    count, passed = notes.done_since(since)
    return (count, passed) if count else ledger.done_since(since)


def _pace(lately: int, left: int, passed: float) -> list[tuple[str, str]]:
    """Tiles by the time that they took, without what came before them, and how long the others will take."""
    pace = lately / max(passed, 1.0)  # clocks are noted in whole seconds
    return [("pace", f"{60 * pace:.3g} tiles a minute"), ("time left", f"about {duration(left / pace)}")]
