"""cnmf: coupled non-negative matrix factorisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stsfusion.fusion.method import Card, Tick
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairs import PairMethod
from stsfusion.learning.unmixing import vertices
from stsfusion.operators.pairmodel import PairModel

__all__ = ["CNMF", "more_endmembers", "more_shares"]

_FLOOR = 1e-6
"""Share of the data's level that stands for anything below it: multiplied, a zero stays zero."""

_TRACE = 1e-4
"""Share of an equal mixture that every endmember has at least where a fine pixel begins."""

_TINY = 1e-12
"""Keeps quotients finite."""

_CHUNK = 16384
"""Pixels that are unmixed at a time: few enough to stay near the processor."""


@dataclass
class CNMF(PairMethod):
    """X = W H with Z ≈ W H S and Y ≈ R W H, all of them non-negative, both images unmixed in turn.

    ::

        Z ─► W, HS ─► HS↑ ─► H from Y ≈ R W H ─► HS ─► W, HS from Z ≈ W HS ─► H from Y ≈ R W H ─► …

        shares  H ← H ∘ WᵀX / (Wᵀ W H)        endmembers  W ← W ∘ X Hᵀ / (W H Hᵀ)

    A row of ones of small weight, put under the data and the endmembers, asks for shares that sum to one. The
    multispectral image's endmembers stay R W. Given the endmembers of each round a pixel's shares are its own
    affair: `fuse` goes the way that `fit` went, along the endmembers that `fit` left on it.

    Source: Yokoya, Yairi and Iwasaki (2012), sec. III.
    """

    endmembers: int = field(default=40, metadata={"ge": 2, "le": 1000})
    """Columns of W, at most the number of hyperspectral pixels and bands."""

    rounds: int = field(default=3, metadata={"ge": 1, "le": 100})
    """How often both images are unmixed; fewer where another round fits them no better."""

    steps: int = field(default=200, metadata={"ge": 1, "le": 100_000})
    """Updates of each factor in one unmixing."""

    seed: int = field(default=0, metadata={"ge": 0, "le": 2**31 - 1})
    """Of the search for the first endmembers."""

    @classmethod
    def example(cls, **settings: object) -> CNMF:
        """Few endmembers, rounds and updates."""
        return cls(**{"endmembers": 8, "rounds": 2, "steps": 20} | settings)  # type: ignore[arg-type]

    @property
    def card(self) -> Card:
        """Unmixing."""
        return Card(
            name="cnmf",
            title="Coupled non-negative matrix factorisation",
            source="10.1109/TGRS.2011.2161320",
            needs=("rich", "sharp"),
            fits="scene",
            blind=self.is_blind,
            memory=12.0,
        )

    def learn(self, pairs: Sequence[Pair], model: PairModel, tick: Tick) -> Mapping[str, Tensor]:
        """The endmembers at the beginning and after each round kept, and what the data are divided by.

        Returns
        -------
        dict
            `path` (k, L + 1, p) in units of `level` (), the largest value of both images; the last row is
            `unity` (), the weight of the sum to one.
        """
        state = _scale(pairs)
        coarse = torch.cat([_stacked(pair.coarse, state)[:, pair.clear.flatten()] for pair in pairs], 1)
        fine = [_stacked(pair.fine, state) for pair in pairs]
        path = self._begin(coarse)
        shares = [self._start(pair, model, state | {"path": torch.stack(path)}) for pair in pairs]
        best, kept = torch.inf, len(path)
        for done in range(1, self.rounds + 1):
            seen = _seen(path[-1], model)
            shares = [more_shares(y, seen, h, self.steps) for y, h in zip(fine, shares, strict=True)]
            low = torch.cat([_low(pair, model, h) for pair, h in zip(pairs, shares, strict=True)], 1)
            cost = _misfit([coarse], path[-1], [low]) + _misfit(fine, seen, shares)
            if cost >= best:
                break
            best, kept = cost, len(path)
            tick(done / self.rounds, "both images unmixed")
            if done < self.rounds:
                path.append(self._again(coarse, path[-1], low))
        return {**state, "path": torch.stack(path[:kept])}

    def sharpen(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """W H, H unmixed from the fine image along the path of the endmembers."""
        shares, fine = self._start(pair, model, state), _stacked(pair.fine, state)
        for endmembers in state["path"][1:]:
            shares = more_shares(fine, _seen(endmembers, model), shares, self.steps)
        return (state["level"] * state["path"][-1, :-1] @ shares).unflatten(1, pair.fine.shape[1:])

    def _begin(self, coarse: Tensor) -> list[Tensor]:
        """Pure pixels, and the endmembers that the coarse image alone makes of them."""
        values = coarse[:-1]
        pure = vertices(values, min(self.endmembers, *values.shape), self.seed).clamp_min(_FLOOR)
        first = torch.cat([pure, coarse[-1:, :1].expand(1, pure.shape[1])])
        shares = more_shares(coarse, first, _equal(coarse, first), self.steps)
        return [first, self._alternate(coarse, first, shares)]

    def _again(self, coarse: Tensor, endmembers: Tensor, shares: Tensor) -> Tensor:
        """Endmembers that go with shares seen at the fine image, then both."""
        for _ in range(self.steps):
            endmembers = more_endmembers(coarse, endmembers, shares)
        return self._alternate(coarse, endmembers, shares)

    def _alternate(self, coarse: Tensor, endmembers: Tensor, shares: Tensor) -> Tensor:
        for _ in range(self.steps):
            endmembers = more_endmembers(coarse, endmembers, shares)
            shares = more_shares(coarse, endmembers, shares, 1)
        return endmembers

    def _start(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """(p, H W) shares of the coarse image, interpolated."""
        coarse = _stacked(pair.coarse, state)
        shares = _equal(coarse, state["path"][0])
        for endmembers in state["path"][:2]:
            shares = more_shares(coarse, endmembers, shares, self.steps)
        wide = model.upsample(shares.unflatten(1, pair.coarse.shape[1:]))
        return wide.flatten(1).clamp_min(_TRACE / len(wide))


def more_shares(pixels: Tensor, endmembers: Tensor, shares: Tensor, steps: int) -> Tensor:
    """H ← H ∘ WᵀX / (Wᵀ W H), `steps` times: ‖X − W H‖ never grows.

    Parameters
    ----------
    pixels, endmembers, shares
        (L, n), (L, p) and (p, n), none of them negative.
    steps
        Updates.

    Source: Lee and Seung (2001), theorem 1.
    """
    gram, out = endmembers.T @ endmembers, []
    for x, h in zip(pixels.split(_CHUNK, 1), shares.split(_CHUNK, 1), strict=True):
        target, h = endmembers.T @ x, h.clone()
        for _ in range(steps):
            h.mul_(target / (gram @ h).clamp_min_(_TINY))
        out.append(h)
    return torch.cat(out, 1)


def more_endmembers(pixels: Tensor, endmembers: Tensor, shares: Tensor) -> Tensor:
    """W ← W ∘ X Hᵀ / (W H Hᵀ), the last row kept: ‖X − W H‖ never grows. Shapes as in `more_shares`."""
    values = endmembers[:-1]
    better = values * (pixels[:-1] @ shares.T) / (values @ (shares @ shares.T)).clamp_min(_TINY)
    return torch.cat([better, endmembers[-1:]])


def _scale(pairs: Sequence[Pair]) -> dict[str, Tensor]:
    """The largest value, and the sum to one's weight as its authors set it: 2 √(mean Y / 0.7455) / l³."""
    seen = torch.cat([pair.fine[:, pair.known] for pair in pairs], 1)
    most = torch.stack([seen.amax(), *(pair.coarse.amax() for pair in pairs)]).amax().clamp_min(_TINY)
    mean = (seen / most).clamp_min(_FLOOR).mean()
    return {"level": most, "unity": 2.0 * (mean / 0.7455).sqrt() / len(seen) ** 3}


def _stacked(image: Tensor, state: Mapping[str, Tensor]) -> Tensor:
    """(c + 1, n) positive values in units of the level, over the weight of the sum to one."""
    values = (image.flatten(1) / state["level"]).clamp_min_(_FLOOR)
    return torch.cat([values, state["unity"].expand(1, values.shape[1])])


def _equal(pixels: Tensor, endmembers: Tensor) -> Tensor:
    """(p, n) equal shares."""
    count = endmembers.shape[1]
    return pixels.new_full((count, pixels.shape[1]), 1.0 / count)


def _seen(endmembers: Tensor, model: PairModel) -> Tensor:
    """(l + 1, p) the endmembers as the multispectral sensor sees them."""
    return torch.cat([model.response.to(endmembers) @ endmembers[:-1], endmembers[-1:]])


def _low(pair: Pair, model: PairModel, shares: Tensor) -> Tensor:
    """(p, n) shares at the clear coarse pixels."""
    return model.lowpass(shares.unflatten(1, pair.fine.shape[1:]))[:, pair.clear]


def _misfit(images: Sequence[Tensor], endmembers: Tensor, shares: Sequence[Tensor]) -> float:
    """Mean square of X − W H."""
    total = sum(float((x - endmembers @ h).square().sum()) for x, h in zip(images, shares, strict=True))
    return total / sum(x.numel() for x in images)
