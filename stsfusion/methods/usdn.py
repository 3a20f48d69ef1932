"""usdn: two encoders into sparse stick-breaking shares under one decoder, trained stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from stsfusion.fusion.method import Card, Tick
from stsfusion.fusion.weights import settings_of
from stsfusion.learning.checkpoint import name_of
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairs import PairMethod
from stsfusion.learning.stages import Stage, descend
from stsfusion.learning.sticks import StickEncoder, angle, entropy, volume
from stsfusion.operators.pairmodel import PairModel

__all__ = ["USDN"]

_PIECE = 8192
"""Fine pixels that are fused at once."""


@dataclass
class USDN(PairMethod):
    """X = s(Y) E + mean: sparse shares of endmembers from the coarse image, read off the fine image.

    1. Coarse: shares of Z under a two-layer linear decoder, until it is told to `angle` degrees.
    2. Start: the fine image's encoder learns the coarse pixels' shares from R Z.
    3. Fine: with the decoder frozen it explains Y through R; every 20th step keeps the angle to 2.

    The authors end the third stage on scores against the truth; here it ends after a number of steps. No
    point spread function is used.

    Source: Qu et al. (2018), sec. 4.
    """

    endmembers: int = field(default=12, metadata={"ge": 2, "le": 200})
    """Shares of a pixel."""

    level: int = field(default=3, metadata={"ge": 1, "le": 100})
    """Units of every inner layer of the encoders."""

    levels: int = field(default=4, metadata={"ge": 1, "le": 16})
    """Inner layers of the encoders."""

    coarse_steps: int = field(default=30000, metadata={"ge": 0, "le": 1000000, "quick": 5000})
    """Largest number of steps of the first stage."""

    start_steps: int = field(default=15000, metadata={"ge": 0, "le": 1000000, "quick": 2500})
    """Largest number of steps of the second stage."""

    fine_steps: int = field(default=20000, metadata={"ge": 0, "le": 1000000, "quick": 2500})
    """Number of steps of the third stage."""

    rate: float = field(default=1e-3, metadata={"ge": 0.0, "le": 1.0})
    """First learning rate of every stage."""

    decay: float = field(default=0.99977, metadata={"ge": 0.9, "le": 1.0})
    """Factor on the learning rate after every step."""

    volume: float = field(default=1e-4, metadata={"ge": 0.0, "le": 1e6})
    """Weight of the endmembers' volume, first stage."""

    sparsity: float = field(default=1e-3, metadata={"ge": 0.0, "le": 1e6})
    """Weight of the shares' entropy, first and third stage."""

    angle: float = field(default=1.5, metadata={"ge": 0.0, "le": 180.0})
    """Degrees of mean spectral angle at which the first stage is over."""

    alike: float = field(default=1e-5, metadata={"ge": 0.0, "le": 1.0})
    """Mean squared difference of shares at which the second stage is over."""

    pixels: int = field(default=131072, metadata={"ge": 64, "le": 100000000, "quick": 16384})
    """Pixels that a step sees: all where there are not more; else a random part."""

    seed: int = 0
    """Of the first weights and of what is drawn."""

    @property
    def card(self) -> Card:
        """Needs both images of a date."""
        return Card(
            name="usdn",
            title="uSDN: sparse Dirichlet-like autoencoders",
            source="10.1109/CVPR.2018.00266",
            needs=("rich", "sharp"),
            fits="training",
            blind=self.is_blind,
        )

    def learn(self, pairs: Sequence[Pair], model: PairModel, tick: Tick) -> Mapping[str, Tensor]:
        """The three stages, on the clear pixels of a date."""
        scene = _Scene.of(pairs, model)
        generator = torch.Generator().manual_seed(self.seed)
        net = self._net(scene, generator)
        stages = self._stages(net, scene, generator)
        name, before = name_of(settings_of(self), vars(scene)), 0
        total = max(sum(stage.steps for stage in stages), 1)
        for place, stage in enumerate(stages, 1):

            def told(done: float, words: str, place: int = place, start: int = before) -> None:
                tick((start + done * stages[place - 1].steps) / total, f"stage {place} of 3, {words}")

            own = f"{name}-{place}" if name else ""
            descend(stage, self.rate_at, name=own, drawing=generator, tick=told)
            before += stage.steps
        spectra = net.spectra().detach() * scene.scale
        encoder = {_flat(name): tensor.detach().clone() for name, tensor in net.of_fine.state_dict().items()}
        means = {"mean": scene.mean * scene.scale, "offset": scene.offset, "scale": scene.scale}
        return {**encoder, **means, "spectra": spectra}

    def sharpen(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """s(Y) E + mean, pixel by pixel."""
        bands, rows, cols = pair.fine.shape
        encoder = self._encoder(bands, bands, torch.Generator()).to(pair.fine.device)
        encoder.load_state_dict({name: state[_flat(name)] for name in encoder.state_dict()})
        fine = (pair.fine / state["scale"]).reshape(bands, -1)
        out = fine.new_empty(len(pair.coarse), rows * cols)
        with torch.no_grad():
            for part, place in zip(fine.split(_PIECE, 1), out.split(_PIECE, 1), strict=True):
                place.copy_((encoder(part.T - state["offset"]) @ state["spectra"] + state["mean"]).T)
        return out.reshape(-1, rows, cols)

    def rate_at(self, step: int) -> float:
        """The learning rate of a stage's step."""
        return self.rate * self.decay**step

    @classmethod
    def example(cls, **settings: Any) -> USDN:
        """Few steps, fast ones."""
        cheap = {"coarse_steps": 40, "start_steps": 20, "fine_steps": 20, "rate": 0.03, "decay": 0.99}
        return cls(**{**cheap, "pixels": 256, "endmembers": 6, **settings})

    def _encoder(self, bands: int, narrow: int, generator: torch.Generator) -> StickEncoder:
        return StickEncoder(bands, narrow, [self.level] * self.levels, self.endmembers, generator)

    def _net(self, scene: _Scene, generator: torch.Generator) -> _Net:
        fine, coarse = scene.response.shape
        return _Net(
            self._encoder(coarse, fine, generator),
            self._encoder(fine, fine, generator),
            _normal(self.endmembers, self.endmembers, generator),
            _normal(self.endmembers, coarse, generator),
        ).to(scene.coarse.device)

    def _stages(self, net: _Net, scene: _Scene, generator: torch.Generator) -> list[Stage]:
        """The three stages in turn; a later one's losses look at what the earlier ones left."""

        def some(count: int) -> Tensor | slice:
            if count <= self.pixels:
                return slice(None)
            return torch.randperm(count, generator=generator)[: self.pixels].to(scene.coarse.device)

        def coarse() -> Tensor:
            at = some(len(scene.coarse))
            shares, spectra = net.of_coarse(scene.coarse[at], scene.narrow[at]), net.spectra()
            untold = _squared(shares @ spectra - scene.coarse[at])
            return untold + self.volume * volume(spectra + scene.mean) + self.sparsity * entropy(shares)

        def told(loss: float) -> bool:
            with torch.no_grad():
                found = net.of_coarse(scene.coarse, scene.narrow) @ net.spectra()
                return 180.0 * float(angle(found + scene.mean, scene.coarse + scene.mean)) <= self.angle

        def shares_at(at: Tensor | slice) -> tuple[Tensor, Tensor]:
            with torch.no_grad():
                wanted = net.of_coarse(scene.coarse[at], scene.narrow[at])
            return net.of_fine(scene.narrow[at]), wanted

        def start() -> Tensor:
            found, wanted = shares_at(some(len(scene.coarse)))
            return (found - wanted).square().mean()

        def fine() -> Tensor:
            at = some(len(scene.fine))
            shares = net.of_fine(scene.fine[at])
            seen = net.spectra().detach() @ scene.response.T
            level = scene.response @ scene.mean - scene.offset
            return _squared(shares @ seen + level - scene.fine[at]) + self.sparsity * entropy(shares)

        decoder, own = [net.first, net.second], list(net.of_fine.parameters())
        return [
            Stage(self.coarse_steps, [*net.of_coarse.parameters(), *decoder], coarse, told),
            Stage(self.start_steps, own, start, lambda loss: loss < self.alike),
            Stage(self.fine_steps, own, fine, aside=lambda: angle(*shares_at(some(len(scene.coarse))))),
        ]


@dataclass(frozen=True, eq=False)
class _Scene:
    """The clear pixels of a date as rows, scaled to [0, 1] and freed of their means."""

    coarse: Tensor
    """(n, L) hyperspectral pixels."""

    narrow: Tensor
    """(n, l) the same as the fine image's sensor would see them."""

    fine: Tensor
    """(m, l) multispectral pixels."""

    mean: Tensor
    """(L,) of the hyperspectral pixels, scaled."""

    offset: Tensor
    """(l,) mean of the multispectral pixels, scaled."""

    response: Tensor
    """(l, L)."""

    scale: Tensor
    """() reflectance of 1."""

    @classmethod
    def of(cls, pairs: Sequence[Pair], model: PairModel) -> _Scene:
        coarse = torch.cat([pair.coarse[:, pair.clear].T for pair in pairs])
        fine = torch.cat([pair.fine[:, pair.known].T for pair in pairs])
        top = torch.stack([coarse.max(), fine.max()]).max()
        scale = top if float(top) > 0 else torch.ones_like(top)
        response = model.response.to(coarse)
        mean, offset = coarse.mean(0) / scale, fine.mean(0) / scale
        return cls(
            coarse / scale - mean,
            coarse / scale @ response.T - offset,
            fine / scale - offset,
            mean,
            offset,
            response,
            scale,
        )


class _Net(nn.Module):
    """Both encoders and the two-layer linear decoder that they share."""

    def __init__(self, of_coarse: StickEncoder, of_fine: StickEncoder, first: Tensor, second: Tensor) -> None:
        super().__init__()
        self.of_coarse, self.of_fine = of_coarse, of_fine
        self.first, self.second = nn.Parameter(first), nn.Parameter(second)

    def spectra(self) -> Tensor:
        """(p, L) endmembers, without the mean."""
        return self.first @ self.second


def _squared(difference: Tensor) -> Tensor:
    """Mean over bands of the sum over pixels."""
    return difference.square().sum(0).mean()


def _normal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    return 0.1 * torch.randn(rows, columns, generator=generator).clamp(-2.0, 2.0)


def _flat(name: str) -> str:
    return name.replace(".", "_")
