"""Trials without a process of their own: where what a run makes is tested, and not the process beside it.

Question and answer still go through files as pickles, and the truth stays outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stsfusion.pipeline import trial

OWN_PROCESS = trial._watch
"""How users have it; tested in flow/test_benchmark.py and flow/test_hsimsi.py."""


@contextmanager
def in_this_process() -> Iterator[None]:
    """Trials are carried out here, which saves each the import of everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "_watch", trial.work)
        yield
