"""Every check that needs a GPU, in one command: `python -m stsfusion.gpu`.

It imports torch and the numeric wing alone, so that a bare GPU machine with torch can run it. Exit codes:
0 all passed, 1 something failed, 77 skipped because there is no such device. `--device cpu` runs the same
checks on the CPU: a test of the checks themselves.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stsfusion import methods
from stsfusion.errors import MethodError
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.examples import tiny_problem, tiny_problem_for
from stsfusion.fusion.memory import peak_bytes
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Problem
from stsfusion.operators.linear import Linear, Shape, gap
from stsfusion.operators.precision import full_precision
from stsfusion.operators.resample import Upsample

__all__ = ["FAILED", "PASSED", "SKIPPED", "Outcome", "check_methods", "check_operators", "main"]

PASSED, FAILED, SKIPPED = 0, 1, 77
"""Exit codes; 77 is what test drivers take for a test that could not be run."""

_SEAMS = 2.0
"""CPU and GPU add the same numbers in another order, as a tile and the whole scene do: `card.seam` is the
method's word on how much that may matter. Twice of it, because both sides round."""

_GAP, _IMAGE = 4.0, 100.0
"""Limits in the dtype's rounding: of the adjoint test, whose error is averaged over thousands of terms and so
lies below it, and of the largest error of an image, whose pixels are sums of some hundred terms."""


@dataclass(frozen=True)
class Outcome:
    """What one check measured."""

    check: str
    """What was asked."""

    subject: str
    """Of which method or operator."""

    measured: float | None
    """The figure; None when it could not be had."""

    limit: float | None
    """The largest figure that passes; None: it is told, not judged."""

    unit: str = ""
    """Of both figures."""

    cpu: float | None = None
    """The same figure on the CPU, where comparing is the point."""

    said: str = ""
    """What went wrong, when there is no figure."""

    @property
    def passed(self) -> bool:
        """Whether the promise holds; a figure that is not a number never passes."""
        if self.measured is None:
            return False
        return self.limit is None or self.measured <= self.limit


# ---------------------------------------------------------------- operators


@dataclass(frozen=True, eq=False)
class _On(Linear):
    """An operator that computes on another device, so that the public dot test reaches it there."""

    op: Linear
    device: torch.device

    @property
    def in_shape(self) -> Shape:
        return self.op.in_shape

    @property
    def out_shape(self) -> Shape:
        return self.op.out_shape

    def _apply(self, x: Tensor) -> Tensor:
        return self.op(x.to(self.device)).cpu()

    def _transpose(self, y: Tensor) -> Tensor:
        return self.op.adjoint(y.to(self.device)).cpu()


def _operators() -> Iterator[tuple[str, Linear]]:
    """Every kind of operator in use: what the three sensors see, and the way back up."""
    problem = tiny_problem(bands=12, dates=3)
    for role, seen in problem.observations.items():
        yield f"view of '{role}'", seen.view
    yield "upsample ×3", Upsample(3, (2, 4, 12, 12))
    yield "upsample, off", Upsample(3, (2, 4, 12, 12), shift=(0.6, -0.4))


def check_operators(operators: Iterable[tuple[str, Linear]], device: torch.device) -> Iterator[Outcome]:
    """The adjoint gap in both precisions, and the image against the CPU's, of named operators."""
    for name, op in operators:
        there = _On(op, device)
        for dtype in (torch.float64, torch.float32):
            word, rounding = str(dtype).removeprefix("torch."), torch.finfo(dtype).eps
            generator = torch.Generator().manual_seed(0)
            measured = gap(there, generator, dtype)
            yield Outcome(f"adjoint, {word}", name, measured, _GAP * rounding)
            x = torch.randn(op.in_shape, generator=generator, dtype=dtype)
            off = float((there(x) - op(x)).abs().max() / op(x).abs().max())
            yield Outcome(f"as on the CPU, {word}", name, off, _IMAGE * rounding)


# ---------------------------------------------------------------- methods


def check_methods(
    kinds: Iterable[type[FusionMethod]], device: torch.device, size: int = 384
) -> Iterator[Outcome]:
    """Agreement with the CPU, repeatability, memory and speed of methods with their example's settings.

    Parameters
    ----------
    kinds
        The methods' classes; one that raises fails, and the others go on.
    device
        Where to fuse; fitting is done on the CPU.
    size
        Side of the scene for memory and speed, target pixels, a multiple of 24.
    """
    for cls in kinds:
        name = cls.__name__
        try:
            name = cls.example().card.name
            yield from _check_method(cls, device, size)
        except Exception as error:  # whatever a method raises is the finding
            yield Outcome("runs", name, None, None, said=f"{type(error).__name__}: {error}".splitlines()[0])


def _check_method(cls: type[FusionMethod], device: torch.device, size: int) -> Iterator[Outcome]:
    card = cls.example().card
    lesson = tiny_problem_for(card, size=96, bands=40, gaps=True).question()
    method = cls.example().fit([lesson])
    name, limit = method.card.name, _SEAMS * method.card.seam
    there = lesson.to(device)
    first, again = (_fuse(method, there) for _ in range(2))
    here, values = _fuse(method, lesson), first.full().cpu()
    off = float((values - here.full()).abs().max())
    yield Outcome("as on the CPU", name, off, limit, "reflectance")
    flags = float((first.quality.cpu() != here.quality).float().mean())
    yield Outcome("flags as on the CPU", name, flags, 0.0, "of the pixels differ")
    moved_by = float((values - again.full().cpu()).abs().max())
    yield Outcome("the same again", name, moved_by, 0.0, "reflectance")
    scene = tiny_problem_for(card, size=size, bands=40).question()
    moved = scene.to(device)
    target = 4 * torch.Size(scene.target.shape).numel()
    peak = _peak(lambda: _fuse(method, moved), device) / target
    yield Outcome("peak memory", name, peak, method.card.memory, "× target")
    beside = _speed(method, scene)
    speed = beside if device.type == "cpu" else _speed(method, moved)
    yield Outcome("speed", name, speed, None, "Mpx·dates/s", cpu=beside)


def _fuse(method: FusionMethod, problem: Problem) -> Answer:
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


def _speed(method: FusionMethod, problem: Problem, runs: int = 3) -> float:
    """Millions of target pixels and dates a second, every date expanded; the best of a few runs."""
    best = float("inf")
    device = next(iter(problem.observations.values())).data.device
    for _ in range(runs + 1):  # one more: the first warms up
        begun = time.perf_counter()
        answer = _fuse(method, problem)
        for date in range(answer.shape[0]):
            answer.date(date)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - begun)
    time_, _, rows, cols = problem.target.shape
    return time_ * rows * cols / best / 1e6


# ---------------------------------------------------------------- the command


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m stsfusion.gpu",
        description="Every GPU check: operators and methods against the CPU, their memory and their speed.",
        epilog="Exit codes: 0 passed, 1 failed, 77 skipped because there is no such device.",
    )
    parser.add_argument("--device", default="cuda", help="torch device; cpu tests the checks themselves")
    parser.add_argument("--methods", metavar="A,B", help="only these; none: all of them")
    parser.add_argument("--size", type=int, default=384, help="side of the scene for memory and speed")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write JSON here, or print it")
    options = parser.parse_args(given)
    if options.size < 96 or options.size % 24:
        parser.error("argument --size: a multiple of 24, at least 96 (less says little about memory)")
    try:
        names = options.methods.split(",") if options.methods else methods.names()
        options.kinds = [methods.kind(name) for name in names]
    except MethodError as error:
        parser.error(f"argument --methods: {error}")
    return options


def _absent(device: torch.device) -> str:
    """Why the device cannot be used; empty when it can."""
    if device.type == "cpu":
        return ""
    if device.type != "cuda":
        return f"'{device.type}' is no device that stsfusion is tested on"
    count = torch.cuda.device_count()
    if not torch.cuda.is_available() or count == 0:
        return "torch sees no GPU here"
    return "" if (device.index or 0) < count else f"torch sees {count} GPU(s), none is number {device.index}"


def _told(outcomes: Iterable[Outcome], quiet: bool) -> Iterator[Outcome]:
    """Print each outcome as it comes."""
    for each in outcomes:
        if not quiet:
            print(_line(each), flush=True)
        yield each


def _line(outcome: Outcome) -> str:
    word = "told" if outcome.limit is None and outcome.passed else "ok" if outcome.passed else "FAILED"
    figure = outcome.said if outcome.measured is None else f"{outcome.measured:.3g} {outcome.unit}".strip()
    beside = f"   at most {outcome.limit:.3g}" if outcome.limit is not None else ""
    beside += f"   CPU {outcome.cpu:.3g}" if outcome.cpu is not None else ""
    return f"{word:<7} {outcome.subject:<16} {outcome.check:<24} {figure}{beside}"


def main(given: Sequence[str] | None = None) -> int:
    """Run the checks and say how they ended; the exit code."""
    options = _arguments(given)
    quiet = options.json == "-"
    device = torch.device(options.device)
    about: dict[str, Any] = {"device": _name(device), "torch": torch.__version__, "cuda": torch.version.cuda}
    outcomes: list[Outcome] = []
    code, why = SKIPPED, _absent(device)
    if not why:
        with full_precision():
            outcomes += _told(check_operators(_operators(), device), quiet)
            outcomes += _told(check_methods(options.kinds, device, options.size), quiet)
        code = PASSED if all(each.passed for each in outcomes) else FAILED
    status = {PASSED: "passed", FAILED: "failed", SKIPPED: "skipped"}[code]
    rows = [{**asdict(each), "passed": each.passed} for each in outcomes]
    _write({"status": status, "why": why, **about, "outcomes": rows}, options.json)
    if not quiet:
        print(f"{status} on {about['device']}: {why or f'{len(outcomes)} checks'}")
    return code


def _name(device: torch.device) -> str:
    usable = device.type == "cuda" and not _absent(device)
    return torch.cuda.get_device_name(device) if usable else str(device)


def _write(facts: dict[str, Any], where: str | None) -> None:
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    if where == "-":
        print(text)
    elif where:
        Path(where).write_text(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
