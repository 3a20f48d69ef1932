"""Preload: what a Dask worker runs when it begins: it takes a number, and with it the fault that is its own.

Workers are fresh processes, which no fork has prepared. FAULTS names a file with one order for each worker
that ever begins, by number; a worker that is begun in place of a dead one takes the next.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["dask_setup"]


def dask_setup(worker: Any) -> None:
    """Take the next number, and be watched."""
    folder = Path(os.environ["FAULTS"])
    for number in range(1000):
        try:
            (folder / f"worker-{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        order = json.loads((folder / "orders.json").read_text())
        own = order["each"].get(str(number), {})
        from faults.watch import begin

        begin({"root": order["root"], "log": str(folder / f"worker-{number}.log"), **own})
        return
