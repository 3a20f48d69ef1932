"""stf3dcnn: a residual 3-D network from coarse changes between dates to fine ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from stsfusion.fusion.method import Card, Tick
from stsfusion.fusion.weights import settings_of
from stsfusion.learning.blend import settled
from stsfusion.learning.changenet import ChangeNet, ChangeTask, Moments, layer_sizes, reach_of, scale_of
from stsfusion.learning.checkpoint import name_of
from stsfusion.learning.coarsepixel import width_of
from stsfusion.learning.kept import under
from stsfusion.learning.layers import initialise
from stsfusion.learning.looks import Base, Look, Looks
from stsfusion.learning.plateau import EVERY, Plateau
from stsfusion.learning.series import SeriesMethod
from stsfusion.learning.training import Schedule, train

__all__ = ["STF3DCNN"]

_STRIP = 32
"""Rows that the network answers at once."""

_LITTLE = 0.01
"""Share of the usual change under which a smaller one weighs no more."""


@dataclass
class STF3DCNN(SeriesMethod):
    """F_k = Σ_i w_i [F_i ± Σ steps between i and k of (ΔC + net(ΔC))], w_i ∝ 1 / |window mean of C_k − C_i|.

    The coarse changes between neighbouring dates of the bases and the asked one are a stack; a residual 3-D
    network makes fine changes of it, all bands and steps at once. From the base before, the first step leads
    forward to the asked date, from the one after, the second leads back to it. Trained on the region: of
    every three dates that both saw, the middle one is asked for; of two, a mixture of both, band by band.

    Source: Peng et al. (2020), doi:10.3390/rs12233888; the layers' number and width are ours.
    """

    width: int = field(default=32, metadata={"ge": 1, "le": 1024})
    """Channels."""

    blocks: int = field(default=1, metadata={"ge": 0, "le": 32})
    """Residual blocks of two layers each, between the first layer and the last."""

    window: int = field(default=5, metadata={"ge": 1, "le": 101})
    """Coarse pixels along one side of the window whose mean change decides how much a base weighs."""

    coarse: int = field(default=0, metadata={"ge": 0, "le": 512})
    """Fine pixels along one side of a coarse one; 0: the data's ratio, or found where they were resampled."""

    steps: int = field(default=6000, metadata={"ge": 0, "le": 10000000, "quick": 600})
    """Steps of the optimiser at most."""

    rate: float = field(default=2e-3, metadata={"ge": 0.0, "le": 1.0})
    """Largest learning rate."""

    patience: int = field(default=3, metadata={"ge": 0, "le": 1000})
    """Exams on pixels that are held back, one every 100 steps, without gain after which the rate falls to a
    fifth; the third fall ends the training, and the best weights are kept. 0: all steps are walked; so are
    fewer than it takes to lose patience."""

    patch: int = field(default=32, metadata={"ge": 4, "le": 4096})
    """Pixels along one side of what a step sees."""

    batch: int = field(default=4, metadata={"ge": 1, "le": 4096})
    """Stacks in a step."""

    seed: int = 0
    """Of the first weights and of what is drawn."""

    @property
    def card(self) -> Card:
        """Needs two dates that both saw to learn anything."""
        return Card(
            name="stf3dcnn",
            title="STF3DCNN: residual 3-D network from coarse to fine changes",
            source="10.3390/rs12233888",
            needs=("sharp", "dense"),
            fits="training",
            blind=True,
        )

    @classmethod
    def example(cls, **settings: Any) -> Self:
        """A narrow network and a few steps."""
        cheap = {"width": 4, "blocks": 1, "steps": 20, "rate": 0.01, "patch": 16, "batch": 2}
        return cls(**{**cheap, **settings})

    def context(self, ratio: int) -> int:
        """The network's neighbourhood, or the window of the weights."""
        return max(reach_of(self.blocks), self._half(int(self.state.get("own.coarse", self.coarse or ratio))))

    # ------------------------------------------------------------ learning

    def learn(self, tiles: Sequence[Looks], tick: Tick) -> Mapping[str, Tensor]:
        """Widths, scales and the network; without two dates that both saw somewhere, there is none."""
        dates = [self.bases_of(tile) for tile in tiles]
        found = [_moments(tile, seen) for tile, seen in zip(tiles, dates, strict=True)]
        moments = [each for each in found if each is not None]
        size = torch.tensor(width_of(self.coarse, tiles, dates))
        if not any(bool((m.known[1:] & m.known[:-1]).any()) for m in moments):
            return {"scale": _level(tiles), "coarse": size}
        scale = scale_of(moments)
        task = ChangeTask(
            moments, scale, self.patch, self.batch, holding=0 < self.patience * EVERY < self.steps
        )
        net, curve = self._trained(task, tick)
        weights = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
        return {"scale": scale, "coarse": size, "curve": curve, **weights}

    def _trained(self, task: ChangeTask, tick: Tick) -> tuple[nn.Module, Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        with torch.device("meta"):
            net = ChangeNet(len(task.scale), self.width, self.blocks)
        net.to_empty(device=task.scale.device)
        initialise(net, generator, [net.last])
        seen = {f"{i} {name}": t for i, tile in enumerate(task.tiles) for name, t in vars(tile).items()}
        course = train(
            list(net.parameters()),
            lambda: task.losses(net, generator),
            Schedule(self.steps, self.rate, warmup=0.02, decay=0.0),
            tick,
            name=name_of(settings_of(self), seen),
            drawing=generator,
            plateau=Plateau(lambda: task.exam(net), tries=self.patience) if task.exams else None,
        )
        return net.requires_grad_(False), course.curve.float()

    # ------------------------------------------------------------ predicting

    def predict(self, bases: Sequence[Base], asked: Look, state: Mapping[str, Tensor]) -> Tensor:
        """Every base moved along the fine changes to the asked date, and merged."""
        dates = sorted([*bases, asked], key=lambda look: look.day)
        changes = self._fine_changes(torch.stack([look.coarse for look in dates]).diff(dim=0), state)
        goal = next(place for place, look in enumerate(dates) if look is asked)
        moved = []
        for base in bases:
            place = next(i for i, look in enumerate(dates) if look is base)
            step = changes[place:goal].sum(0) if place < goal else -changes[goal:place].sum(0)
            moved.append(base.fine + step)
        shares = self._shares(bases, asked, state)
        return (shares[:, None] * torch.stack(moved)).sum(0)

    def _fine_changes(self, coarse: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """(step, b, H, W) reflectance, strip by strip of rows; without a network, the coarse changes."""
        weights = under(state, "net")
        if not weights:
            return coarse
        with torch.device("meta"):
            net = ChangeNet(*layer_sizes(weights))
        net.load_state_dict(weights, strict=True, assign=True)
        reach, rows, scale = reach_of(self.blocks), coarse.shape[2], state["scale"][:, None, None]
        out = torch.empty_like(coarse)
        with torch.no_grad():
            for start in range(0, rows, _STRIP):
                stop = min(start + _STRIP, rows)
                top, bottom = max(start - reach, 0), min(stop + reach, rows)
                stack = (coarse[:, :, top:bottom] / scale).transpose(0, 1)[None]
                fine = net(stack)[0].transpose(0, 1)[:, :, start - top : start - top + stop - start]
                out[:, :, start:stop] = fine * scale
        return out

    def _shares(self, bases: Sequence[Base], asked: Look, state: Mapping[str, Tensor]) -> Tensor:
        """(n, H, W) of the bases, by the inverse of what changed since each of them."""
        half = self._half(int(state["coarse"]))
        scale = state["scale"][:, None, None]
        known = torch.stack([base.known for base in bases]).to(asked.coarse)
        apart = torch.stack([(asked.coarse - base.coarse) / scale for base in bases])
        mean = _window_mean(apart, half).abs().mean(1)
        near = 1.0 / mean.clamp_min(_LITTLE)
        return settled(near * known, near / near.sum(0))

    def _half(self, size: int) -> int:
        return self.window * size // 2


def _window_mean(images: Tensor, half: int) -> Tensor:
    """(n, b, H, W) mean over a square window, cut off at the image's edge; rows first, then columns."""
    size = 2 * half + 1
    tall = avg_pool2d(images, (size, 1), 1, (half, 0), count_include_pad=False)
    return avg_pool2d(tall, (1, size), 1, (0, half), count_include_pad=False)


def _moments(tile: Looks, dates: Sequence[int]) -> Moments | None:
    """The bases of a tile; None when there are not two."""
    if len(dates) < 2:
        return None
    bases = [tile.base(date) for date in sorted(dates)]
    return Moments(
        torch.stack([base.coarse for base in bases]),
        torch.stack([base.fine for base in bases]),
        torch.stack([base.known for base in bases]),
    )


def _level(tiles: Sequence[Looks]) -> Tensor:
    """(band,) spread of the dense series, for want of changes; one where there is none."""
    live = tiles[0].live
    spread = torch.stack([tile.own[:, live].std((0, 2, 3), unbiased=False) for tile in tiles]).mean(0)
    return torch.where(spread > 0, spread, 1.0)
