"""Every check that needs a GPU, in one command of under ten minutes: `python -m stsfusion.gpu`.

It imports torch and the numeric wing alone, so that a bare GPU machine with torch can run it; the engine is
asked, in a process of its own, where zarr and dask are there. Exit codes: 0 all passed, 1 something failed,
77 skipped because there is no such device. `--device cpu` runs the same checks on the CPU: a test of the
checks themselves.
"""

from __future__ import annotations

from stsfusion.gpu.command import main
from stsfusion.gpu.engine import check_engine
from stsfusion.gpu.linear import check_operators
from stsfusion.gpu.networks import check_networks
from stsfusion.gpu.outcome import FAILED, PASSED, SKIPPED, Outcome
from stsfusion.gpu.zoo import check_methods

__all__ = [
    "FAILED",
    "PASSED",
    "SKIPPED",
    "Outcome",
    "check_engine",
    "check_methods",
    "check_networks",
    "check_operators",
    "main",
]
