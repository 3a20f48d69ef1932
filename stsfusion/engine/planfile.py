"""A plan at rest: a folder with plan.json, plan.npz and the method's weights; every worker reads it once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from stsfusion.cube.disk import flush
from stsfusion.engine.plan import Plan, Source
from stsfusion.errors import PlanError
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Target
from stsfusion.fusion.weights import load_state, save_state, settings_of
from stsfusion.running.tiling import Tile

__all__ = ["code_of", "load_plan", "method_settings", "save_plan"]

_WEIGHTS, _JSON, _ARRAYS = "weights.safetensors", "plan.json", "plan.npz"


def save_plan(plan: Plan, folder: Path, code: str = "") -> None:
    """Write the plan and its method's state into a folder, and wait until the disk has them.

    Parameters
    ----------
    code
        Fingerprint of the code that all who fuse its tiles must have.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_state(plan.method, folder / _WEIGHTS)
    arrays = {"wavelengths": plan.target.wavelengths.numpy(), "days": plan.target.days.numpy()}
    for source in plan.sources:
        for name in ("kernel", "spectral", "noise"):
            value = getattr(source, name)
            if value is not None:
                arrays[f"{source.role}.{name}"] = value
    with (folder / _ARRAYS).open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    (folder / _JSON).write_text(json.dumps({**_plain(plan), "code": code}, indent=1, sort_keys=True))
    for path in (folder / _WEIGHTS, folder / _ARRAYS, folder / _JSON, folder, folder.parent):
        flush(path)


def _plain(plan: Plan) -> dict[str, Any]:
    sources = [
        {"role": s.role, "cube": s.cube, "dates": list(s.dates), "ratio": s.ratio, "known": s.known}
        for s in plan.sources
    ]
    return {
        "inputs": str(plan.inputs.resolve()),
        "output": str(plan.output.resolve()),
        "sources": sources,
        "shape": list(plan.target.shape),
        "written": list(plan.written),
        "tiles": [tile.to_json() for tile in plan.tiles],
        "device": plan.device,
        "overlap": plan.overlap,
        "begun": plan.begun,
        "method": settings_of(plan.method),
    }


def method_settings(folder: Path) -> dict[str, Any]:
    """Name and settings of the method that a saved plan was made for."""
    settings: dict[str, Any] = _read(folder)["method"]
    return settings


def code_of(folder: Path) -> str:
    """Fingerprint of the code that a saved plan asks for; empty: it does not say."""
    return str(_read(folder).get("code", ""))


def load_plan(folder: Path, method: FusionMethod) -> Plan:
    """The plan of a folder, its method given the saved state.

    Parameters
    ----------
    method
        An unfitted method of the settings that `method_settings` tells.

    Raises
    ------
    PlanError
        When the folder holds no plan.
    MethodError
        When the weights are for other settings.
    """
    plain, arrays = _read(folder), _read_arrays(folder)
    wavelengths, days = (torch.from_numpy(arrays[name]) for name in ("wavelengths", "days"))
    fitted = load_state(method, folder / _WEIGHTS)
    device = plain["device"]
    moved = fitted.with_state({k: t.to(device) for k, t in fitted.state.items()}) if fitted.state else fitted
    return Plan(
        Path(plain["inputs"]),
        Path(plain["output"]),
        tuple(_source(record, arrays) for record in plain["sources"]),
        Target(tuple(plain["shape"]), wavelengths, days),
        tuple(plain["written"]),
        tuple(Tile.from_json(text) for text in plain["tiles"]),
        moved,
        device,
        plain["overlap"],
        plain["begun"],
    )


def _source(record: dict[str, Any], arrays: dict[str, np.ndarray]) -> Source:
    role = record["role"]
    bare = Source(
        role,
        record["cube"],
        tuple(record["dates"]),
        record["ratio"],
        arrays[f"{role}.kernel"],
        known=record["known"],
    )
    return replace(bare, spectral=arrays.get(f"{role}.spectral"), noise=arrays.get(f"{role}.noise"))


def _read(folder: Path) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads((folder / _JSON).read_text())
    except (OSError, ValueError) as error:
        raise _no_plan(folder, error) from error
    return plain


def _read_arrays(folder: Path) -> dict[str, np.ndarray]:
    try:
        with (folder / _ARRAYS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, BadZipFile) as error:
        raise _no_plan(folder, error) from error


def _no_plan(folder: Path, error: Exception) -> PlanError:
    return PlanError(f"plan {folder}", expected="a saved plan", got=str(error), mend="Run it again.")
