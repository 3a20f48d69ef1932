"""Rounds: keys whose results are no more what their workers left go round again, before anyone sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from stsfusion.running.ledger import Ledger
from stsfusion.running.outcome import Executor, Failure, Outcome, Success

__all__ = ["run_in_rounds"]

_ROUNDS = 3
"""How often a key is done again before it counts as failed."""

Ended = Callable[[str, Success[dict[str, Any]] | Failure], None]


def run_in_rounds(
    executor: Executor,
    work: Callable[[str], dict[str, Any]],
    left: Sequence[str],
    ended: Ended,
    ledger: Ledger,
    checksum: Callable[[str], str],
) -> Outcome[str]:
    """Do what is left, and then again whatever was changed since it was done, those done earlier included.

    A disk, or a worker that outlived another run, may change what lies there before anybody has seen it.
    Where keys failed or were left nothing is looked at: the next run begins with it.

    Parameters
    ----------
    ended
        Told of each end; it notes it in the ledger.
    checksum
        Of a key's results as they are now, to compare with what its record says.

    Returns
    -------
    How it ended; a key that was done twice is counted once. One that does not stay has failed.
    """
    outcome = executor.run(work, left, ended)
    done = outcome.done
    for _ in range(_ROUNDS):
        changed = _changed(outcome, ledger, checksum)
        if not changed:
            return replace(outcome, done=done)
        outcome = executor.run(work, changed, ended)
    changed = _changed(outcome, ledger, checksum)
    for key in changed:
        ended(key, Failure("Unsteady", _WHY))
    return replace(outcome, done=done - len(changed), failed=outcome.failed + len(changed))


_WHY = (
    f"what it wrote was changed before it was published, {_ROUNDS + 1} times: see whether the disk is sound, "
    "and whether a worker of an earlier run is still at work"
)


def _changed(outcome: Outcome[str], ledger: Ledger, checksum: Callable[[str], str]) -> list[str]:
    """Keys that are done and not what they were; none where the run is not whole, or nothing was done."""
    if outcome.interrupted or outcome.failed or outcome.left or not outcome.done:
        return []
    known = [record["key"] for record in ledger.records()]
    good = ledger.still_done(checksum)
    return [key for key in known if key not in good]
