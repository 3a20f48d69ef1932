"""Engine benchmark: what the engine adds to bare fusing, reading and writing, in ratios."""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from stsfusion.errors import PlanError, nearest
from stsfusion.pipeline.engineread import read_amplification
from stsfusion.pipeline.enginescene import EngineScene
from stsfusion.pipeline.enginestand import Bare, Run, Stand, seconds_to_carry

__all__ = ["AIMS", "FIGURES", "EngineBench", "bench_engine", "missed", "rows"]

NETWORK: dict[str, Any] = {"name": "stsnet", "steps": 20}
BOUND: dict[str, Any] = {**NETWORK, "kernels": [1, 3, 5]}
CLOSED: dict[str, Any] = {"name": "lineartime"}

AIMS: dict[str, tuple[str, float]] = {
    "end_to_end_ratio.network": ("≤", 1.15),
    "end_to_end_ratio.closed_form": ("≤", 1.3),
    "memory_growth": ("≤", 1.1),
    "scheduler_share": ("<", 0.01),
    "two_worker_speedup": ("≥", 1.5),
    "read_amplification.rich": ("≤", 2.0),
    "read_amplification.sharp": ("≤", 2.0),
    "read_amplification.dense": ("≤", 2.0),
    "gpu_busy": ("≥", 0.85),
}
"""What the engine is meant to reach on an idle machine."""

FIGURES = tuple(dict.fromkeys(name.partition(".")[0] for name in AIMS))
"""What can be asked for."""

_TILE = 384
"""The tile that recipes have by default."""

_WORKERS = 2


@dataclass(frozen=True)
class EngineBench:
    """How the engine is measured."""

    size: int = 1152
    """Side of the scene, target pixels; a multiple of 384."""

    bands: int = 166
    """Of the target."""

    dates: int = 3
    """Of the target."""

    repeats: int = 5
    """Runs of which the median is told, of end_to_end_ratio and two_worker_speedup."""

    figures: tuple[str, ...] = FIGURES
    """Which are wanted."""

    device: str = "cpu"
    """torch device for gpu_busy; the other figures are the CPU's."""

    def __post_init__(self) -> None:
        if self.size < _TILE or self.size % _TILE:
            raise PlanError("option 'size'", expected=f"a multiple of {_TILE}", got=f"{self.size}")
        for name in self.figures:
            if name not in FIGURES:
                raise PlanError(
                    f"figure '{name}'", expected="one that is measured", mend=nearest(name, FIGURES)
                )

    def end_to_end_ratio(self, stand: Stand) -> tuple[dict[str, float], dict[str, Any]]:
        """Wall over what model, reading and writing take of the cores, in sixteen tiles.

        A machine's pace changes from minute to minute: every run lies between bare tiles before and after it.
        """
        ratios, behind = {}, {}
        for name, method in (("network", NETWORK), ("closed_form", CLOSED)):
            plan = stand.plan(method, self.size, self.size // 4)
            before, told = stand.bare(plan), []
            for _ in range(self.repeats):
                run, after = stand.run(plan, _WORKERS), stand.bare(plan)
                told.append(_paced(_mean(before, after), run))
                before = after
            told.sort(key=lambda each: each["ratio"])
            middle = told[(len(told) - 1) // 2]
            ratios[name] = middle["ratio"]
            behind[name] = {**middle, "ratios": [each["ratio"] for each in told], "method": method}
        return ratios, behind

    def memory_growth(self, stand: Stand) -> tuple[float, dict[str, Any]]:
        """Peak of a worker at sixteen times the area over once the area, with the same tile."""
        side = min(self.size, 2 * _TILE)
        peaks = [stand.run(stand.plan(CLOSED, s, 96), 1).peak_bytes for s in (side // 4, side)]
        return peaks[1] / peaks[0], {"sides": [side // 4, side], "peak_bytes": peaks, "tile": 96}

    def scheduler_share(self, stand: Stand) -> tuple[float, dict[str, Any]]:
        """Seconds that a task costs in all over those of a tile of the default size, by the faster method."""
        carried = seconds_to_carry()
        bare = stand.bare(stand.plan(CLOSED, _TILE, _TILE), 1)
        tile = bare.model_s + bare.store_s
        return carried / tile, {"seconds_a_task": carried, "seconds_a_tile": tile, "tile": _TILE}

    def two_worker_speedup(self, stand: Stand) -> tuple[float, dict[str, Any]]:
        """Wall of one worker over that of two, one thread each, with a network that computes for long.

        One worker reads and writes beside its computing already; what two may gain is what computing takes.
        """
        plan = stand.plan(BOUND, _TILE, 96)
        bare = stand.bare(plan)
        walls: dict[int, list[float]] = {1: [], _WORKERS: []}
        for _ in range(self.repeats):
            for n, own in walls.items():
                own.append(stand.run(plan, n).wall_s)
        one, two = (statistics.median(walls[n]) for n in (1, _WORKERS))
        return one / two, {"wall_s": walls, **asdict(bare), "method": BOUND}

    def read_amplification(self, stand: Stand) -> tuple[dict[str, float], dict[str, Any]]:
        """Decoded over needed bytes of every role, in tiles of the default size, with the larger halo."""
        plan = stand.plan(NETWORK, self.size, _TILE)
        halo = plan.method.halo(plan.geometry)
        return read_amplification(plan), {"tile": _TILE, "halo": halo}

    def gpu_busy(self, stand: Stand) -> tuple[float | None, dict[str, Any]]:
        """Share of the wall in which the GPU has a tile's turn; none without a GPU."""
        if torch.device(self.device).type != "cuda":
            return None, {"why": "no GPU was asked for, or there is none"}
        there = Stand(stand.scene, stand.folder, self.device)
        plan = there.plan(NETWORK, self.size, _TILE if self.size > _TILE else 96)
        bare, run = there.bare(plan), there.run(plan, 1)
        ratio = run.wall_s / max(bare.model_s, bare.store_s)
        return run.fuse_s / run.wall_s, {**asdict(bare), **asdict(run), "end_to_end_ratio": ratio}


def _mean(one: Bare, other: Bare) -> Bare:
    return Bare(0.5 * (one.model_s + other.model_s), 0.5 * (one.store_s + other.store_s))


def _paced(bare: Bare, run: Run) -> dict[str, Any]:
    """What a run took over what it had to."""
    least = (bare.model_s + bare.store_s) / _WORKERS
    whole = (run.wall_s + run.startup_s) / least
    return {"ratio": run.wall_s / least, **asdict(bare), **asdict(run), "with_startup": whole}


def _silent(done: float, what: str) -> None:
    """Nobody watches."""


def bench_engine(
    how: EngineBench,
    folder: Path | None = None,
    tell: Callable[[float, str], None] = _silent,
    json_path: Path | None = None,
) -> dict[str, Any]:
    """Measure the engine on a scene made for it.

    Parameters
    ----------
    how
        What is measured, and on what.
    folder
        Where the scene and results are written meanwhile; None: a temporary folder.
    tell
        Told the share that is done and what is being measured.
    json_path
        Where the result is written, anew after every figure, so that a run that is cut off leaves some.

    Returns
    -------
    dict
        A field for each figure, `figures` with what is behind them, and `machine`.
    """
    scene = EngineScene(how.size, how.bands, how.dates)
    result: dict[str, Any] = {"size": how.size, "machine": _machine(), "figures": {}}
    with tempfile.TemporaryDirectory(dir=folder, prefix="bench-engine-") as place:
        stand = Stand(scene, Path(place))
        for share in scene.write(stand.folder / "cubes.zarr"):
            tell(0.1 * share, "writing a scene")
        for number, name in enumerate(how.figures):
            tell(0.1 + 0.9 * number / len(how.figures), name)
            result[name], result["figures"][name] = getattr(how, name)(stand)
            result["machine"]["load_after"] = os.getloadavg()[0]
            result["missed"] = missed(result)
            if json_path is not None:
                json_path.write_text(json.dumps(result, indent=1) + "\n")
    return result


def missed(result: dict[str, Any]) -> list[str]:
    """The aims that a result does not reach; what was not measured is not missed."""
    return [name for name in AIMS if not _reached(name, _figure(result, name))]


def _figure(result: dict[str, Any], name: str) -> float | None:
    field, _, part = name.partition(".")
    value = result.get(field)
    found: float | None = value.get(part) if isinstance(value, dict) else value
    return found


def _reached(name: str, value: float | None) -> bool:
    sign, aim = AIMS[name]
    if value is None:
        return True
    return value >= aim if sign == "≥" else value <= aim if sign == "≤" else value < aim


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "processor": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "load_before": os.getloadavg()[0],
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def rows(result: dict[str, Any]) -> Sequence[tuple[str, str, str]]:
    """For a table: figure, value, aim."""
    shown = []
    for name, (sign, aim) in AIMS.items():
        value = _figure(result, name)
        if name.partition(".")[0] in result:
            shown.append((name, "none" if value is None else f"{value:.3g}", f"{sign} {aim:g}"))
    return shown
