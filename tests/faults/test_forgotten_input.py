"""Input that a disk has changed since it was read: nothing is made of it, and the same series comes."""

import pytest
from faults.forgetting import forget_input
from faults.judge import Judge


def test_forgotten_bits_of_the_input_reach_no_series(project, tally):
    for number in range(5):
        forget_input(project, tally, number)
    Judge(project, tally).acquit()
    assert len(tally.strikes) == 5


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_hundred_forgotten_inputs_reach_no_series(project, tally):
    for number in range(100, 200):
        forget_input(project, tally, number)
    Judge(project, tally).acquit()
    assert len(tally.strikes) == 100
    assert {strike.point.split(",")[0] for strike in tally.strikes} == {
        "other settings",
        "series lost",
        "tiles left",
    }
