"""Puts the small project within reach of the flow tests, and trials into their process."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from nightly import one_version
from small_project import project_in
from trials import OWN_PROCESS, in_this_process

from stsfusion.pipeline import steps, trial


@pytest.fixture(scope="session")
def write_project():
    """Write the small project into a folder; gives its recipe."""
    return project_in


@pytest.fixture(scope="module", autouse=True)
def trials_here():
    """What runs make is tested here; a test of the process beside them asks for `trial_process`."""
    with in_this_process():
        yield


@pytest.fixture
def trial_process(monkeypatch):
    """Trials are carried out in fresh processes, as users have them."""
    monkeypatch.setattr(trial, "_watch", OWN_PROCESS)


@pytest.fixture
def quick(monkeypatch):
    """Neither scores nor pages, and the code is looked at once."""
    for step in ("_evaluate", "_report"):
        monkeypatch.setattr(steps, step, lambda *words: None)
    with one_version():
        yield
