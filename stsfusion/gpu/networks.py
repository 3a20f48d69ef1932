"""Networks on a device: what bfloat16 costs and gains, and how much of the time is the bare network's."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from stsfusion.fusion.examples import tiny_problem_for
from stsfusion.fusion.method import FusionMethod
from stsfusion.gpu.outcome import Outcome
from stsfusion.gpu.zoo import SEAMS, fused, speed
from stsfusion.learning.network import NetworkMethod

__all__ = ["check_networks", "inside_networks"]


def check_networks(
    kinds: Iterable[type[FusionMethod]], device: torch.device, size: int = 384
) -> Iterator[Outcome]:
    """Error and gain of bfloat16, and the bare network's share of the time, of every network method.

    Parameters
    ----------
    kinds
        Methods' classes; those without a network are passed over.
    device
        Where to fuse; fitting is done on the CPU.
    size
        Side of the scene for the speed, target pixels, a multiple of 24.
    """
    for cls in kinds:
        if issubclass(cls, NetworkMethod):
            yield from _check(cls, device, size)


def _check(cls: type[NetworkMethod], device: torch.device, size: int) -> Iterator[Outcome]:
    card = cls.example().card
    lesson = tiny_problem_for(card, size=96, bands=40).question()
    method = cls.example().fit([lesson])
    half = replace(method, half=True).with_state(method.state)
    there = lesson.to(device)
    off = float((fused(half, there).full() - fused(method, there).full()).abs().max())
    yield Outcome("bfloat16 beside float32", card.name, off, SEAMS * half.card.seam, "reflectance")
    scene = tiny_problem_for(card, size=size, bands=40).question().to(device)
    full = speed(method, scene)
    yield Outcome("gain by bfloat16", card.name, speed(half, scene) / full, None, "× as fast")
    with inside_networks(device) as spent:
        begun = time.perf_counter()
        fused(method, scene)
        _settle(device)
        took = time.perf_counter() - begun
    yield Outcome("the bare network's share", card.name, spent.seconds / took, None, "of the time")


@dataclass
class Spent:
    """Time inside networks."""

    seconds: float = 0.0
    """Until now."""

    depth: int = 0
    """How many networks, each in the other, are at work; 0: none."""

    since: float = 0.0
    """When the outermost of them began, by the clock of performance."""


@contextmanager
def inside_networks(device: torch.device) -> Iterator[Spent]:
    """Count the seconds that any network computes in this process meanwhile."""
    spent = Spent()

    def enter(module: nn.Module, given: object) -> None:
        if spent.depth == 0:
            _settle(device)
            spent.since = time.perf_counter()
        spent.depth += 1

    def leave(module: nn.Module, given: object, out: object) -> None:
        spent.depth -= 1
        if spent.depth == 0:
            _settle(device)
            spent.seconds += time.perf_counter() - spent.since

    hooks = register_module_forward_pre_hook(enter), register_module_forward_hook(leave)
    try:
        yield spent
    finally:
        for hook in hooks:
            hook.remove()


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
