"""The engine on a device: is the GPU kept busy while tiles are read and written? In a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from stsfusion.gpu.outcome import Outcome

__all__ = ["check_engine", "engine_is_there"]

_BUSY = 0.85
"""Least share of the wall in which a tile has its turn on the GPU."""


def engine_is_there() -> bool:
    """Whether the libraries that the engine needs are installed."""
    return all(find_spec(name) is not None for name in ("zarr", "dask", "distributed", "xarray", "typer"))


def check_engine(
    device: torch.device, seconds: float, ask: Callable[[Sequence[str], float], str] | None = None
) -> Iterator[Outcome]:
    """The GPU's idle share, and the wall beside the larger of what model and storage take.

    Parameters
    ----------
    device
        Where tiles are fused.
    seconds
        After which the engine is given up.
    ask
        Runs a command and gives what it wrote into the file that `--json` names; None: a process.
    """
    words = ["bench", "engine", "--only", "gpu_busy", "--size", "768", "--device", str(device)]
    try:
        told = json.loads((ask or _asked)(words, seconds))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        yield Outcome("GPU idle", "engine", None, None, said=said)
        return
    yield from _judged(told)


def _judged(told: dict[str, Any]) -> Iterator[Outcome]:
    busy, behind = told.get("gpu_busy"), told.get("figures", {}).get("gpu_busy", {})
    if busy is None:
        yield Outcome("GPU idle", "engine", None, None, said=str(behind.get("why", "nothing was measured")))
        return
    yield Outcome("GPU idle", "engine", 1.0 - busy, 1.0 - _BUSY, "of the wall")
    yield Outcome("wall beside bare", "engine", behind["end_to_end_ratio"], None, "× the larger part")


def _asked(words: Sequence[str], seconds: float) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "engine.json"
        command = [sys.executable, "-m", "stsfusion.cli", *words, "--folder", folder, "--json", str(file)]
        subprocess.run(command, check=True, capture_output=True, timeout=seconds)
        return file.read_text()
