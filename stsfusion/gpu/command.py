"""The command `python -m stsfusion.gpu`: its options, what it prints, and how it ends."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from stsfusion import methods
from stsfusion.errors import MethodError
from stsfusion.gpu.engine import check_engine, engine_is_there
from stsfusion.gpu.linear import check_operators, operators
from stsfusion.gpu.networks import check_networks
from stsfusion.gpu.outcome import FAILED, PASSED, SKIPPED, Outcome
from stsfusion.gpu.zoo import check_methods
from stsfusion.operators.precision import full_precision

__all__ = ["main"]


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m stsfusion.gpu",
        description="Every GPU check: operators and methods against the CPU, their memory and their speed.",
        epilog="Exit codes: 0 passed, 1 failed, 77 skipped because there is no such device.",
    )
    parser.add_argument("--device", default="cuda", help="torch device; cpu tests the checks themselves")
    parser.add_argument("--methods", metavar="A,B", help="only these; none: all of them")
    parser.add_argument("--size", type=int, default=384, help="side of the scene for memory and speed")
    parser.add_argument("--minutes", type=float, default=9.0, help="all of it in about this time")
    parser.add_argument("--no-engine", dest="engine", action="store_false", help="torch and methods alone")
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


def _checks(options: argparse.Namespace, device: torch.device) -> Iterator[Outcome]:
    """All of them, the numeric ones in two thirds of the time."""
    begun, seconds = time.monotonic(), 60.0 * options.minutes
    with full_precision():
        yield from check_operators(operators(), device)
        yield from check_networks(options.kinds, device, options.size)
        yield from check_methods(options.kinds, device, options.size, begun + seconds / 2)
    if device.type == "cuda" and options.engine and engine_is_there():
        yield from check_engine(device, max(60.0, begun + seconds - time.monotonic()))


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
        outcomes += _told(_checks(options, device), quiet)
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
