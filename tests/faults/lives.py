"""Lives: state machines lived at random, the same every time, and told as they were lived."""

from __future__ import annotations

from faults.tally import Tally
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

__all__ = ["live"]

SEED = 20261122
"""What all lives are drawn from: what is written in these files has no part in it."""


def live(
    life: type[RuleBasedStateMachine], tally: Tally | None, lives: int, steps: int, lot: int = 0
) -> None:
    """So many lives of so many steps, other ones in each lot; faults that struck are noted in the tally."""
    told = seed(SEED + lot)(type("Told", (life,), {"tally": tally}))
    chosen = settings(
        max_examples=lives,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],  # a life that fails is told as it was lived
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(told, settings=chosen)
