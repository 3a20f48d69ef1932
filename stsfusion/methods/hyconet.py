"""hyconet: coupled autoencoders that learn both sensors' responses, trained on the pair itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from stsfusion.errors import MethodError
from stsfusion.fusion.method import Card, Tick
from stsfusion.fusion.weights import settings_of
from stsfusion.learning.checkpoint import Walk, name_of
from stsfusion.learning.coupled import Abundances, Clamp, Coupled, Fuser, LossWeights, joint_loss
from stsfusion.learning.footprints import Footprints
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairs import PairMethod
from stsfusion.operators.pairmodel import PairModel

__all__ = ["HyCoNet"]

_PIECE = 2048
"""Fine pixels that go through the network at once: few enough to stay in a processor's cache."""


@dataclass
class HyCoNet(PairMethod):
    """X = E(h(Y)), trained so that PSF(h(Y)) and f(Z) give Z, and SRF(X) gives Y, without any truth.

    The point spread function and the responses are layers of the network: with `psf: estimated` they are
    learnt with it, from flat ones, and the blind estimate serves the registration alone. The paper's text is
    what the defaults follow; where the authors' public code does otherwise, a field says so.

    Source: Zheng et al. (2021), sec. III.
    """

    endmembers: int = field(default=100, metadata={"ge": 2, "le": 1000})
    """Spectra that every pixel is a mixture of."""

    width: int = field(default=128, metadata={"ge": 4, "le": 1024})
    """Units of the encoders' first hidden layer; the next two have twice and four times as many."""

    iterations: int = field(default=10000, metadata={"ge": 0, "le": 1000000, "quick": 1500})
    """Steps of Adam."""

    rate: float = field(default=5e-3, metadata={"ge": 0.0, "le": 1.0})
    """First learning rate (public code: 3e-3)."""

    constant: int = field(default=0, metadata={"ge": 0, "le": 1000000})
    """Steps before the rate begins to fall, linearly to zero at the end (public code: 2000 of 10 000)."""

    encoder_factor: float = field(default=1.0, metadata={"ge": 0.0, "le": 10.0})
    """Of the learning rate, for the fine image's encoder (public code: 0.5)."""

    response_factor: float = field(default=1.0, metadata={"ge": 0.0, "le": 10.0})
    """Of the learning rate, for the point spread function and the responses (public code: 0.2)."""

    own: float = field(default=1.0, metadata={"ge": 0.0, "le": 1e6})
    """Weight of the coarse image through its own encoder (public code: 10)."""

    alpha: float = field(default=10.0, metadata={"ge": 0.0, "le": 1e6})
    """Weight of the coarse image through the fine image's abundances."""

    beta: float = field(default=10.0, metadata={"ge": 0.0, "le": 1e6})
    """Weight of the fine image."""

    gamma: float = field(default=100.0, metadata={"ge": 0.0, "le": 1e6})
    """Weight of what ties the point spread function to the responses."""

    mu: float = field(default=1e-3, metadata={"ge": 0.0, "le": 1e6})
    """Weight of abundances that do not sum to one (public code: 0.01)."""

    nu: float = field(default=1e-3, metadata={"ge": 0.0, "le": 1e6})
    """Weight of the sparsity of abundances (public code: 0.01)."""

    target: float = field(default=1e-4, metadata={"ge": 1e-6, "le": 0.5})
    """Abundance that the sparsity pulls to (public code: 0.01, and on softmax values)."""

    abundances: Abundances = "clamp"
    """What holds abundances in [0, 1] (public code: softmax behind a ReLU)."""

    clamp: Clamp = "inward"
    """The gradient of clamped values, which are the same either way: 'hard' is zero outside [0, 1], so that
    abundances that all leave it are lost, and with them the training; 'inward' passes it wherever descent
    leads back inside, and loses nothing."""

    response: Literal["learned", "known"] = "learned"
    """Spectral responses: learnt within each band's coverage, or those of the sensor model, fixed (what the
    public code does unless told otherwise)."""

    pixels: int = field(default=131072, metadata={"ge": 256, "le": 100000000, "quick": 16384})
    """Fine pixels that a step sees: all, as in the paper, where there are not more; else a random part."""

    seed: int = 0
    """Of the first weights and of what is drawn."""

    @property
    def card(self) -> Card:
        """Needs both images of a date."""
        return Card(
            name="hyconet",
            title="HyCoNet: coupled autoencoders with learnt PSF and SRF",
            source="10.1109/TGRS.2020.3006534",
            needs=("rich", "sharp"),
            fits="training",
            blind=self.is_blind,
        )

    def learn(self, pairs: Sequence[Pair], model: PairModel, tick: Tick) -> Mapping[str, Tensor]:
        """Train on all clear pixels of a date."""
        kernel = None if self.psf == "estimated" else model.kernel
        seen = Footprints.of(pairs, 0 if kernel is None else model.reach)
        top = torch.stack([seen.coarse.max(), seen.fine.max()]).max()
        scale = top if float(top) > 0 else torch.ones_like(top)
        seen = Footprints((seen.coarse / scale).clamp_min(0), (seen.fine / scale).clamp_min(0), seen.near)
        generator = torch.Generator().manual_seed(self.seed)
        net = self._net(pairs[0], model, generator).to(seen.coarse.device)
        self._train(net, seen, generator, tick)
        return {"scale": scale, **net.tensors()}

    def sharpen(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """E(h(Y)), pixel by pixel."""
        fuser = Fuser(state, self.abundances)
        bands, rows, cols = pair.fine.shape
        fine = (pair.fine / state["scale"]).clamp_min(0).reshape(bands, -1)
        out = fine.new_empty(len(pair.coarse), rows * cols)
        for part, place in zip(fine.split(_PIECE, 1), out.split(_PIECE, 1), strict=True):
            place.copy_(fuser(part.T.contiguous()).T)
        return out.mul_(state["scale"]).reshape(-1, rows, cols)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step: constant first, then falling linearly to zero."""
        left = (self.iterations - step) / max(self.iterations - self.constant, 1)
        return self.rate * min(left, 1.0)

    @classmethod
    def example(cls, **settings: Any) -> HyCoNet:
        """A narrow network and a few steps."""
        cheap = {
            "iterations": 50,
            "pixels": 256,
            "width": 8,
            "endmembers": 24,
            "rate": 0.03,
            "clamp": "inward",
        }
        return cls(**{**cheap, **settings})

    def _net(self, pair: Pair, model: PairModel, generator: torch.Generator) -> Coupled:
        return Coupled(
            pair.coverage.cpu(),
            endmembers=self.endmembers,
            width=self.width,
            ratio=pair.ratio,
            generator=generator,
            clamp=self.clamp,
            abundances=self.abundances,
            kernel=None if self.psf == "estimated" else model.kernel.cpu(),
            response=model.response.cpu() if self.response == "known" else None,
        )

    def _train(self, net: Coupled, seen: Footprints, generator: torch.Generator, tick: Tick) -> None:
        weights = LossWeights(self.own, self.alpha, self.beta, self.gamma, self.mu, self.nu, self.target)
        optimiser = torch.optim.Adam(self._groups(net), fused=True)
        trained = [tensor for group in optimiser.param_groups for tensor in group["params"]]
        walk = Walk(name_of(settings_of(self), vars(seen)), trained, [optimiser], generator)
        draw = self._draw(seen, generator)
        for step in range(walk.resume(), self.iterations):
            for group in optimiser.param_groups:
                group["lr"] = group["factor"] * self.rate_at(step)
            optimiser.zero_grad(set_to_none=True)
            walk.history.append(sum(_descended(net, piece, weights) for piece in draw()))
            optimiser.step()
            net.clip()
            _said(walk.history, self.iterations, tick)
            walk.keep(step + 1, last=step + 1 == self.iterations)

    def _groups(self, net: Coupled) -> list[dict[str, Any]]:
        """Parameters by the factor of their learning rate."""
        groups = (
            (1.0, [*net.of_coarse.parameters(), net.spectra]),
            (self.encoder_factor, [*net.of_fine.parameters()]),
            (self.response_factor, [net.parts, net.shares]),
        )
        kept = ((factor, [p for p in own if p.requires_grad]) for factor, own in groups)
        return [{"params": own, "factor": factor} for factor, own in kept if own]

    def _draw(self, seen: Footprints, generator: torch.Generator) -> Callable[[], list[Footprints]]:
        """What a step sees, in pieces: all, or as many random coarse pixels as `pixels` allows."""
        places = seen.fine.shape[1]
        piece, most = max(_PIECE // places, 1), max(self.pixels // places, 1)
        if len(seen.fine) <= most:
            whole = seen.pieces(piece)
            return lambda: whole
        count = max(most // seen.near.shape[1], 1)

        def some() -> list[Footprints]:
            chosen = torch.randperm(len(seen), generator=generator)[:count]
            return seen.pick(chosen.to(seen.near.device)).pieces(piece)

        return some


def _descended(net: Coupled, piece: Footprints, weights: LossWeights) -> float:
    """The loss on a piece, its gradient added to the parameters'."""
    loss = joint_loss(net, piece, weights)
    loss.backward()
    return float(loss.detach())


def _said(history: list[float], steps: int, tick: Tick) -> None:
    """Tell of the last step; stop where the loss is no number."""
    step, loss = len(history), history[-1]
    if not math.isfinite(loss):
        raise MethodError(
            f"method 'hyconet', step {step}",
            expected="a finite loss",
            got=f"{loss}",
            mend="Lower the learning rate 'rate', or look for wild values in the images.",
        )
    tick(step / steps, f"step {step} of {steps}, loss {loss:.5g}")
