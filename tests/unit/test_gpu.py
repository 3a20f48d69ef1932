"""The GPU checks, checked on the CPU: sound methods pass, and each broken twin fails for its own reason."""

import json
import subprocess
import time
from dataclasses import dataclass, replace

import pytest
import torch
from pretended import DEVICE, pretended

from stsfusion import gpu, methods
from stsfusion.gpu import zoo
from stsfusion.gpu.linear import operators
from stsfusion.gpu.networks import inside_networks
from stsfusion.learning import branches
from stsfusion.methods.bicubic import Bicubic
from stsfusion.methods.coarsedelta import CoarseDelta
from stsfusion.methods.gsa import GSA
from stsfusion.methods.lineartime import LinearTime
from stsfusion.methods.stsnet import STSNet
from stsfusion.operators.blur import Blur, gaussian_kernel
from stsfusion.operators.precision import full_precision

CPU = torch.device("cpu")
DTYPES = ("float64", "float32")


@dataclass
class Drifting(Bicubic):
    """Gives something else each time, as a device that computes otherwise would."""

    calls = 0

    def fuse(self, problem):
        Drifting.calls += 1
        answer = super().fuse(problem)
        return replace(answer, values=answer.values + 1e-3 * Drifting.calls)


@dataclass
class Flickering(Bicubic):
    """Flags pixels by chance."""

    def fuse(self, problem):
        answer = super().fuse(problem)
        return replace(answer, quality=torch.randint_like(answer.quality, 1, 5))


@dataclass
class Hungry(Bicubic):
    """Uses more memory than its card says."""

    def fuse(self, problem):
        waste = [torch.zeros(problem.target.shape) for _ in range(6)]
        return super().fuse(problem) if waste else None


@dataclass
class Tied(Bicubic):
    """Cannot leave the CPU."""

    def fuse(self, problem):
        raise RuntimeError("expected all tensors to be on the same device")


@dataclass
class Unlucky(GSA):
    """Learns less the second time, as where it was never tried."""

    fits = 0

    def fit(self, problems, tick=lambda done, what: None):
        Unlucky.fits += 1
        fitted = super().fit(problems, tick)
        worse = {name: t * 1.5 if name.endswith("weights") else t for name, t in fitted.state.items()}
        return fitted if Unlucky.fits == 1 else fitted.with_state(worse)


@dataclass
class Choosy(Bicubic):
    """Falls otherwise at so many pixels of one date, as a choice by a threshold does."""

    pixels: int = 1
    calls = 0

    @property
    def card(self):
        return replace(super().card, chooses=True)

    def fuse(self, problem):
        type(self).calls += 1
        answer = super().fuse(problem)
        other = answer.values.clone()
        other[0, :, 0, : self.pixels] += 0.1 * (self.calls == 3)
        return replace(answer, values=other)


@dataclass
class TooChoosy(Choosy):
    """At too many."""

    pixels: int = 40


@dataclass
class Unowned(Choosy):
    """At one pixel, and its card does not say that it chooses any."""

    @property
    def card(self):
        return replace(super().card, chooses=False)


class WrongAdjoint(Blur):
    def _transpose(self, y):
        return super()._transpose(y) * 1.001


class Coarse(Blur):
    """Ten bits of mantissa, as TF32, whose image is thus not what full precision gives."""

    calls = 0

    def _apply(self, x):
        Coarse.calls += 1
        image = super()._apply(x)
        return image.half().to(image.dtype) if Coarse.calls % 2 else image


def failed(outcomes):
    return {outcome.check for outcome in outcomes if not outcome.passed}


def test_every_method_passes_on_the_cpu(monkeypatch, capsys):
    monkeypatch.setattr(zoo, "_ENOUGH", 1e-9)  # seconds: one reading of the speed is enough here
    assert gpu.main(["--device", "cpu", "--size", "96", "--json"]) == gpu.PASSED
    told = json.loads(capsys.readouterr().out)
    assert told["status"] == "passed"
    checks = {"as on the CPU", "flags as on the CPU", "the same again", "peak memory", "speed"}
    for name in methods.names():
        rows = {row["check"]: row for row in told["outcomes"] if row["subject"] == name}
        assert set(rows) >= checks
        assert ("as good, fitted there" in rows) == (methods.card(name).fits != "no")
        assert rows["speed"]["measured"] > 0
    assert all(row["passed"] for row in told["outcomes"])


@pytest.mark.parametrize(
    ("twin", "checks"),
    [
        (Drifting, {"as on the CPU", "the same again"}),
        (Flickering, {"flags as on the CPU"}),
        (Hungry, {"peak memory"}),
        (Tied, {"runs"}),
        (Unlucky, {"as good, fitted there"}),
        (Choosy, set()),
        (TooChoosy, {"as on the CPU"}),
        (Unowned, {"as on the CPU"}),
    ],
)
def test_a_broken_twin_fails_for_its_own_reason_and_the_next_goes_on(twin, checks):
    twin.calls = 0
    outcomes = list(gpu.check_methods([twin, Bicubic], CPU, 48))
    assert failed(outcomes) == checks
    assert [outcome.check for outcome in outcomes][-1] == "speed"


@pytest.mark.parametrize(
    ("kind", "checks"),
    [
        (Blur, set()),
        (WrongAdjoint, {f"adjoint, {dtype}" for dtype in DTYPES}),
        (Coarse, {f"{check}, {dtype}" for check in ("adjoint", "as on the CPU") for dtype in DTYPES}),
    ],
)
def test_operators_are_judged(kind, checks):
    op = kind(gaussian_kernel(3, 3), 3, (1, 2, 12, 12))
    assert failed(gpu.check_operators([("twin", op)], CPU)) == checks


@dataclass
class Rough(STSNet):
    """Promises of bfloat16 what only full precision keeps."""

    @property
    def card(self):
        return replace(super().card, seam=1e-9)


@pytest.mark.parametrize(("kind", "checks"), [(STSNet, set()), (Rough, {"bfloat16 beside float32"})])
def test_networks_are_judged_in_bfloat16(monkeypatch, kind, checks):
    monkeypatch.setattr(branches, "EASED", {"cpu", "cuda"})
    outcomes = list(gpu.check_networks([Bicubic, kind], CPU, 48))
    assert failed(outcomes) == checks
    assert {outcome.subject for outcome in outcomes} == {"stsnet"}
    figures = {outcome.check: outcome.measured for outcome in outcomes}
    assert figures["bfloat16 beside float32"] > 0
    assert 0 < figures["the bare network's share"] < 1
    assert figures["gain by bfloat16"] > 0


def test_where_bfloat16_is_no_faster_it_is_not_used():
    figures = {outcome.check: outcome.measured for outcome in gpu.check_networks([STSNet], CPU, 48)}
    assert figures["bfloat16 beside float32"] == 0


class Slow(torch.nn.Module):
    def forward(self, x):
        time.sleep(0.05)
        return x


def test_only_what_networks_compute_is_counted():
    net = torch.nn.Sequential(Slow(), Slow())
    with inside_networks(CPU) as spent:
        net(torch.zeros(1))
        time.sleep(1.0)
    assert 0.1 <= spent.seconds < 1.0
    before = spent.seconds
    net(torch.zeros(1))
    assert spent.seconds == before


def told(busy, **behind):
    figures = {"gpu_busy": {"end_to_end_ratio": 1.1, **behind}}
    return lambda words, seconds: json.dumps({"gpu_busy": busy, "figures": figures})


def broken(words, seconds):
    raise subprocess.TimeoutExpired(words, seconds)


@pytest.mark.parametrize(
    ("ask", "checks", "said"),
    [
        (told(0.9), set(), ""),
        (told(0.8), {"GPU idle"}, ""),
        (told(None, why="no GPU"), {"GPU idle"}, "no GPU"),
        (broken, {"GPU idle"}, "TimeoutExpired"),
    ],
)
def test_the_engine_is_judged_by_how_busy_it_keeps_the_gpu(ask, checks, said):
    outcomes = list(gpu.check_engine(CPU, 5.0, ask))
    assert failed(outcomes) == checks
    assert said in outcomes[0].said


@pytest.mark.slow
def test_the_engine_is_asked_in_a_process_of_its_own():
    outcomes = list(gpu.check_engine(CPU, 300.0))
    assert outcomes[0].said == "no GPU was asked for, or there is none"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a real GPU to ask")
def test_the_checks_themselves_keep_to_the_device():
    with pretended():
        outcomes = [
            *gpu.check_operators(operators(), DEVICE),
            *gpu.check_methods([LinearTime, CoarseDelta], DEVICE, 48),
        ]
    assert not failed(outcomes)
    assert {"as on the CPU", "as good, fitted there", "adjoint, float32"} <= {each.check for each in outcomes}


def test_what_is_late_is_asked_on_a_small_scene(monkeypatch):
    sides = []
    monkeypatch.setattr("stsfusion.gpu.zoo._check_method", lambda cls, device, size: sides.append(size) or ())
    for until in (time.monotonic() - 1, time.monotonic() + 60):
        list(gpu.check_methods([Bicubic], CPU, 384, until))
    assert sides == [96, 384]


def test_without_a_gpu_it_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    file = tmp_path / "gpu.json"
    assert gpu.main(["--json", str(file)]) == gpu.SKIPPED
    assert "skipped on cuda: torch sees no GPU here" in capsys.readouterr().out
    assert json.loads(file.read_text())["status"] == "skipped"


def test_a_failure_is_the_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(methods, "kind", lambda name: Tied)
    assert gpu.main(["--device", "cpu", "--methods", "bicubic", "--size", "96"]) == gpu.FAILED
    out = capsys.readouterr().out
    assert "FAILED  bicubic" in out
    assert "expected all tensors to be on the same device" in out


@pytest.mark.parametrize("given", [["--methods", "bicubi"], ["--size", "50"]])
def test_wrong_options_are_refused(given, capsys):
    with pytest.raises(SystemExit, match="2"):
        gpu.main(given)
    assert "error" in capsys.readouterr().err


def test_full_precision_holds_inside_and_is_undone_after():
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    with full_precision():
        assert not torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "highest"
    assert (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()) == before


@pytest.mark.gpu
def test_every_method_passes_on_a_gpu():
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU here")
    assert gpu.main([]) == gpu.PASSED
