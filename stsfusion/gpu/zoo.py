"""Methods on a device: as on the CPU, the same again, as good when fitted there, in memory, and how fast."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator

import torch

from stsfusion.fusion.answer import Answer
from stsfusion.fusion.examples import tiny_problem_for
from stsfusion.fusion.memory import peak_bytes
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Problem
from stsfusion.gpu.outcome import Outcome

__all__ = ["SEAMS", "check_methods", "fused", "speed"]

SEAMS = 2.0
"""CPU and GPU add the same numbers in another order, as a tile and the whole scene do: `card.seam` is the
method's word on how much that may matter. Twice of it, because both sides round."""

_FEW = 5e-4
"""Share of pixels and dates set aside of a method whose card says that it chooses pixels by thresholds."""

_AS_GOOD = 1.1
"""Error of an answer, fitted on the device, over that of the same method fitted on the CPU: training that
rounds otherwise ends elsewhere, but not worse."""


_LESSON, _BANDS = 96, 40
"""Side, in target pixels, and bands of the scene on which answers are compared."""

_ENOUGH = 3.0
"""Seconds after which a speed is not measured again."""


def check_methods(
    kinds: Iterable[type[FusionMethod]], device: torch.device, size: int = 384, until: float = math.inf
) -> Iterator[Outcome]:
    """Agreement with the CPU, repeatability, fit, memory and speed of methods with their example's settings.

    Parameters
    ----------
    kinds
        The methods' classes; one that raises fails, and the others go on.
    device
        Where to fuse and to fit; what is compared otherwise is fitted on the CPU.
    size
        Side of the scene for memory and speed, target pixels, a multiple of 24.
    until
        `time.monotonic()` after which memory and speed are asked on a small scene.
    """
    for cls in kinds:
        name = cls.__name__
        try:
            name = cls.example().card.name
            yield from _check_method(cls, device, size if time.monotonic() < until else min(size, _LESSON))
        except Exception as error:  # whatever a method raises is the finding
            yield Outcome("runs", name, None, None, said=f"{type(error).__name__}: {error}".splitlines()[0])


def _check_method(cls: type[FusionMethod], device: torch.device, size: int) -> Iterator[Outcome]:
    card = cls.example().card
    posed = tiny_problem_for(card, size=_LESSON, bands=_BANDS, gaps=True)
    lesson = posed.question()
    begun = time.perf_counter()
    method, took = cls.example().fit([lesson]), time.perf_counter() - begun
    name, limit = method.card.name, SEAMS * method.card.seam
    there = lesson.to(device)
    first, again = (fused(method, there) for _ in range(2))
    begun = time.perf_counter()
    here, values = fused(method, lesson), first.full().cpu()
    beside = _rate(lesson, time.perf_counter() - begun)
    off = (values - here.full()).abs().amax(1)
    aside = _FEW if method.card.chooses else 0.0
    yield Outcome("as on the CPU", name, float(off.quantile(1.0 - aside)), limit, "reflectance")
    yield Outcome("farthest off", name, float(off.max()), None, "reflectance")
    flags = float((first.quality.cpu() != here.quality).float().mean())
    yield Outcome("flags as on the CPU", name, flags, 0.0, "of the pixels differ")
    moved_by = float((values - again.full().cpu()).abs().max())
    yield Outcome("the same again", name, moved_by, 0.0, "reflectance")
    if method.card.fits != "no":
        yield from _check_fit(cls, there, posed, here, took)
    scene = tiny_problem_for(card, size=size, bands=_BANDS).question().to(device)
    target = 4 * torch.Size(scene.target.shape).numel()
    peak = _peak(lambda: fused(method, scene), device) / target
    yield Outcome("peak memory", name, peak, method.card.memory, "× target")
    yield Outcome("speed", name, speed(method, scene), None, "Mpx·dates/s", cpu=beside)


def _check_fit(
    cls: type[FusionMethod], there: Problem, posed: Problem, here: Answer, took: float
) -> Iterator[Outcome]:
    """Fitted on the device it is as good as fitted on the CPU, where that took so many seconds."""
    begun = time.perf_counter()
    method = cls.example().fit([there])
    spent, name = time.perf_counter() - begun, method.card.name
    worse = _error(fused(method, there), posed) / _error(here, posed)
    yield Outcome("as good, fitted there", name, worse, _AS_GOOD, "× the error")
    yield Outcome("fit", name, spent, None, "s", cpu=took)


def _error(answer: Answer, posed: Problem) -> float:
    """Root mean square."""
    assert posed.truth is not None
    return float((answer.full().cpu() - posed.truth).square().mean().sqrt())


def fused(method: FusionMethod, problem: Problem) -> Answer:
    """A method's answer, nothing kept for derivatives."""
    with torch.inference_mode():
        return method.fuse(problem)


def _peak(work: Callable[[], Answer], device: torch.device) -> int:
    """Bytes that `work` holds at once on the device, beside what was there before."""
    if device.type != "cuda":
        return peak_bytes(work)
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def speed(method: FusionMethod, problem: Problem, runs: int = 3) -> float:
    """Millions of target pixels and dates a second, every date expanded; the best of a few runs."""
    device = next(iter(problem.observations.values())).data.device
    took: list[float] = []
    while len(took) < runs and sum(took) < _ENOUGH:
        begun = time.perf_counter()
        answer = fused(method, problem)
        for date in range(answer.shape[0]):
            answer.date(date)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        took.append(time.perf_counter() - begun)
    return _rate(problem, min(took))


def _rate(problem: Problem, seconds: float) -> float:
    time_, _, rows, cols = problem.target.shape
    return time_ * rows * cols / seconds / 1e6
