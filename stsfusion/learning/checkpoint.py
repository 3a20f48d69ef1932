"""Checkpoints: a long training writes down how far it is, and goes on from there after a death.

>>> with checkpoints(Path("work/learning")):          # doctest: +SKIP
...     method.fit(problems)                          # killed and called again, it goes on

Outside of `checkpoints` nothing is written and nothing found: a training need not know whether it is watched.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

__all__ = ["Checkpoints", "Walk", "checkpoints", "keep", "name_of", "recall"]


@dataclass
class Checkpoints:
    """Where trainings write down how far they are, how often, and what they had done before."""

    folder: Path
    """Made when first needed; may be emptied by its owner once all trainings are over."""

    every: float = 60.0
    """Seconds between two writings of one training."""

    before: float = 0.0
    """Seconds that earlier runs spent on what was recalled."""

    _opened: float = field(default_factory=time.monotonic)
    _written: dict[str, float] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """The file of a training."""
        return self.folder / f"{name}.safetensors"

    def due(self, name: str) -> bool:
        """Whether the last writing, or the opening, lies `every` seconds back."""
        return time.monotonic() - self._written.get(name, self._opened) >= self.every

    def write(self, name: str, tensors: Mapping[str, Tensor], step: int) -> None:
        """Replace a training's file in one step."""
        seconds = self.before + time.monotonic() - self._opened
        said = {"step": str(step), "seconds": f"{seconds:.3f}"}
        plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{name}.{os.getpid()}.partial"
        partial.write_bytes(save(plain, said))
        os.replace(partial, self.path(name))
        self._written[name] = time.monotonic()

    def read(self, name: str) -> tuple[dict[str, Tensor], int] | None:
        """What a training wrote last, with its step; None when there is nothing whole."""
        try:
            with safe_open(self.path(name), framework="pt") as file:
                said = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            step, seconds = int(said["step"]), float(said["seconds"])
        except (OSError, SafetensorError, KeyError, ValueError):
            return None
        self.before = max(self.before, seconds)
        return tensors, step


_OPEN: ContextVar[Checkpoints | None] = ContextVar("checkpoints", default=None)


@contextmanager
def checkpoints(folder: Path, every: float = 60.0) -> Iterator[Checkpoints]:
    """Under this, trainings save their progress in a folder and go on from what they find there.

    Parameters
    ----------
    folder
        Of checkpoints alone; may not exist yet.
    every
        Seconds between two writings of one training.
    """
    token = _OPEN.set(Checkpoints(folder, every))
    try:
        opened = _OPEN.get()
        assert opened is not None
        yield opened
    finally:
        _OPEN.reset(token)


def keep(name: str, tensors: Callable[[], Mapping[str, Tensor]], step: int, *, last: bool = False) -> None:
    """Write a training's progress down, if checkpoints are open and it is time, or when it is the last step.

    Parameters
    ----------
    name
        Of the training: `name_of` its settings and data, so that another's progress is never taken up.
    tensors
        Gives all that the next step depends on; called only when something is written.
    step
        Steps done.
    last
        Whether the training is over.
    """
    opened = _OPEN.get()
    if opened is not None and (last or opened.due(name)):
        opened.write(name, tensors(), step)


def recall(name: str) -> tuple[dict[str, Tensor], int] | None:
    """What was last kept under a name and after how many steps; None when nothing was, or none are open."""
    opened = _OPEN.get()
    return None if opened is None else opened.read(name)


def name_of(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """A fingerprint of settings and data: 32 hexadecimal digits; empty when no checkpoints are open."""
    if _OPEN.get() is None:
        return ""
    digest = hashlib.sha256(json.dumps(dict(settings), sort_keys=True, default=str).encode())
    for key, tensor in sorted(tensors.items()):
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


@dataclass
class Walk:
    """All that the next step of a training depends on, to be kept and taken up as one."""

    name: str
    """Fingerprint of settings and data, from `name_of`; empty: never kept."""

    trained: Sequence[Tensor]
    """What changes, in a fixed order; restored in place."""

    optimisers: Sequence[torch.optim.Optimizer]
    """Adams over them, one for every loss that has moments of its own."""

    drawing: torch.Generator | None = None
    """Whatever examples are drawn from."""

    history: list[float] = field(default_factory=list)
    """Loss of every step done."""

    def resume(self) -> int:
        """Take up what was kept under the name; the number of steps done, zero when nothing was."""
        found = recall(self.name) if self.name else None
        if found is None:
            return 0
        tensors, step = found
        with torch.no_grad():
            for place, tensor in enumerate(self.trained):
                tensor.copy_(tensors[f"trained_{place}"])
        if self.drawing is not None:
            self.drawing.set_state(tensors["drawing"])
        self.history[:] = tensors["history"].tolist()
        self._restore_moments(tensors)
        return step

    def keep(self, step: int, *, last: bool) -> None:
        """Write all of it down if it is time, or the last step."""
        if self.name:
            keep(self.name, self._tensors, step, last=last)

    def _tensors(self) -> dict[str, Tensor]:
        whole = {f"trained_{place}": tensor for place, tensor in enumerate(self.trained)}
        whole["history"] = torch.tensor(self.history, dtype=torch.float64)
        if self.drawing is not None:
            whole["drawing"] = self.drawing.get_state()
        for prefix, optimiser in self._named():
            for place, own in optimiser.state_dict()["state"].items():
                whole |= {f"{prefix}{place}_{key}": torch.as_tensor(value) for key, value in own.items()}
        return whole

    def _named(self) -> Iterator[tuple[str, torch.optim.Optimizer]]:
        return ((f"adam{i or ''}_", optimiser) for i, optimiser in enumerate(self.optimisers))

    def _restore_moments(self, tensors: Mapping[str, Tensor]) -> None:
        for prefix, optimiser in self._named():
            state: dict[int, dict[str, Tensor]] = {}
            for name in (name for name in tensors if name.startswith(prefix)):
                place, key = name.removeprefix(prefix).split("_", 1)
                state.setdefault(int(place), {})[key] = tensors[name]
            optimiser.load_state_dict(
                {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
            )
