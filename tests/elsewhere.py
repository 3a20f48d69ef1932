"""Whether a method gives on another device what it gives on the CPU, wherever it was fitted.

A problem travels by `Problem.to`, as the engine and `python -m stsfusion.gpu` bring it there: images and
masks are on the device; the target's wavelengths and days and the views' small weights stay where they were.
"""

from __future__ import annotations

from dataclasses import fields

import torch
from pretended import DEVICE, pretended
from torch import Tensor

from stsfusion.fusion.answer import Deviations, Factored

_NEAR = 1e-5
"""Reflectance by which answers may differ."""


class Astray(AssertionError):
    """An answer that lies elsewhere, or is another."""


def check_devices(make, problems):
    """Fitted here or there, with what it learned here or there, a method gives there what it gives here."""
    question = problems[0]
    here = make().fit(problems)
    expected = _fused(here, question)
    with pretended():
        there = [problem.to(DEVICE) for problem in problems]
        ways = {
            "fitted here": here,
            "fitted here, sent there": _sent(here, DEVICE),
            "fitted there": make().fit(there),
        }
        for way, method in ways.items():
            _compare(_fused(method, there[0]), expected, way)
        back = _sent(ways["fitted there"], "cpu")
    _compare(_fused(back, question), expected, "fitted there, sent here", "cpu")


def _sent(method, device):
    """As a worker has it that has read it from a file."""
    return method.with_state({k: t.to(device) for k, t in method.state.items()}) if method.state else method


def _fused(method, problem):
    with torch.inference_mode():
        return method.fuse(problem)


def _compare(answer, expected, way, device=DEVICE):
    for name, part in _parts(answer):
        if part.device.type != torch.device(device).type:
            raise Astray(f"{way}: {name} came back on {part.device.type}")
    if not torch.equal(answer.quality.cpu(), expected.quality):
        raise Astray(f"{way}: other flags")
    for name, one, other in (
        ("values", answer.full(), expected.full()),
        ("sigma", answer.sigma, expected.sigma),
    ):
        if other is None:
            assert one is None
        elif not (off := float((one.cpu() - other).abs().max())) <= _NEAR:
            raise Astray(f"{way}: {name} {off:.3g} off")


def _parts(answer):
    """The tensors that an answer holds or makes."""
    values = answer.values
    whole = [values] if isinstance(values, Tensor) else [getattr(values, f.name) for f in fields(Factored)]
    made = [answer.sigma_of(0)] if isinstance(answer.deviations, Deviations) else [answer.deviations]
    named = {"values": [*whole, answer.date(0)], "quality": [answer.quality], "sigma": made}
    return [(name, each) for name, several in named.items() for each in several if each is not None]
