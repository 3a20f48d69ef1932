"""gsomp: generalised simultaneous orthogonal matching pursuit over a non-negative dictionary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stsfusion.fusion.method import Card, Tick
from stsfusion.learning.dictionary import learn_dictionary
from stsfusion.learning.pair import Pair
from stsfusion.learning.pairs import PairMethod
from stsfusion.learning.pursuit import pursue
from stsfusion.operators.pairmodel import PairModel

__all__ = ["GSOMP"]

_PRICES = (0.1, 0.3, 0.5)

_CHECKED = 2000
"""Pixels, about, by which a price is judged."""

_AT_ONCE = 20_000
"""Pixels of patches that are pursued together."""


@dataclass
class GSOMP(PairMethod):
    """X = Φ a, with a few spectra of a dictionary Φ for all pixels of a patch, so that R Φ a ≈ Y, a ≥ 0.

    Φ is learned from the hyperspectral pixels; of the multispectral image alone a patch then tells which of
    its spectra, seen through the response R, it is made of. No point spread function takes part. Patches
    begin at every hyperspectral pixel and are averaged where they overlap.

    Source: Akhtar, Shafait and Mian (2014), doi:10.1007/978-3-319-10584-0_5, G-SOMP+.
    """

    atoms: int = field(default=75, metadata={"ge": 1, "le": 1000})
    """Spectra in the dictionary, at most one for two coarse pixels."""

    patch: int = field(default=8, metadata={"ge": 1, "le": 64})
    """Fine pixels along a side of a patch; the nearest multiple of the ratio is taken."""

    chunk: int = field(default=20, metadata={"ge": 1, "le": 1000})
    """Atoms that join in one step."""

    gamma: float = field(default=0.99, metadata={"ge": 0.0, "le": 1.0})
    """Share of the last residual to which a step must bring it for another one to be made."""

    sparsity: float | None = field(default=None, metadata={"ge": 0.0, "le": 1.0})
    """Price of a coefficient while the dictionary is learned, from pixels of unit norm. None: of 0.1, 0.3 and
    0.5 the one with which the hyperspectral image is best rebuilt from what the response lets see of it."""

    rounds: int = field(default=10, metadata={"ge": 1, "le": 1000, "quick": 5})
    """How often the dictionary sees every coarse pixel."""

    seed: int = field(default=0, metadata={"ge": 0, "le": 2**31})
    """Of the dictionary's first spectra and the order of learning."""

    @classmethod
    def example(cls, **settings: object) -> GSOMP:
        """A small dictionary, and patches that do not overlap."""
        return cls(**{"atoms": 8, "patch": 2, "sparsity": 0.3, "rounds": 3} | settings)  # type: ignore[arg-type]

    @property
    def card(self) -> Card:
        """Sparse coding."""
        return Card(
            name="gsomp",
            title="Simultaneous pursuit in a non-negative dictionary",
            source="10.1007/978-3-319-10584-0_5",
            needs=("rich", "sharp"),
            fits="scene",
            blind=self.is_blind,
            memory=12.0,
        )

    def side(self, ratio: int) -> int:
        """Fine pixels along a side of a patch."""
        return max(1, round(self.patch / ratio)) * ratio

    def context(self, ratio: int, reach: int) -> int:
        """The other pixels of all patches that a pixel is in."""
        return self.side(ratio)

    def learn(self, pairs: Sequence[Pair], model: PairModel, tick: Tick) -> Mapping[str, Tensor]:
        """(L, K) dictionary."""
        pixels = torch.cat([pair.samples(pair.coarse)[0] for pair in pairs], 1)
        count = max(1, min(self.atoms, pixels.shape[1] // 2))
        prices = _PRICES if self.sparsity is None else (self.sparsity,)
        found = []
        for done, price in enumerate(prices):
            tick(done / len(prices), f"dictionary at a price of {price:g}")
            found.append(learn_dictionary(pixels, count, self.rounds, price, self.seed))
        if len(found) == 1:
            return {"atoms": found[0]}
        misses = [self._missed(pixels, atoms, model) for atoms in found]
        return {"atoms": found[misses.index(min(misses))]}

    def _missed(self, pixels: Tensor, atoms: Tensor, model: PairModel) -> float:
        """Mean square of what (L, n) pixels lose when they are rebuilt from their multispectral values."""
        some = pixels[:, :: max(1, pixels.shape[1] // _CHECKED)]
        seen = _Seen.of(atoms, model.response.to(atoms))
        if not len(seen.unit):
            return float(some.square().mean())
        asked = (model.response.to(some) @ some)[seen.bands].double().T
        rebuilt = pursue(asked[:, None], seen.unit, self.chunk, self.gamma).times(seen.spectra)
        return float((rebuilt.T - some).square().mean())

    def sharpen(self, pair: Pair, model: PairModel, state: Mapping[str, Tensor]) -> Tensor:
        """Φ a."""
        seen = _Seen.of(state["atoms"], model.response)
        if not len(seen.unit):
            return pair.coarse.new_zeros(len(pair.coarse), *pair.fine.shape[1:])
        fine, side = pair.fine[seen.bands].double(), self.side(pair.ratio)
        return _averaged(fine, seen, pair.ratio, side, self.chunk, self.gamma)


@dataclass(frozen=True, eq=False)
class _Seen:
    """A dictionary seen through a response, without the spectra that it does not see."""

    bands: Tensor
    """(l',) bool: multispectral bands with a response."""

    unit: Tensor
    """(K, l) of unit norm, double precision."""

    spectra: Tensor
    """(K, L) the spectra that look so."""

    @classmethod
    def of(cls, atoms: Tensor, response: Tensor) -> _Seen:
        """From (L, K') atoms and the (l', L) response."""
        bands = response.sum(1) > 0
        projected = response[bands].double() @ atoms.double()
        size = projected.norm(dim=0)
        kept = size > 1e-6 * size.amax().clamp_min(1e-30)
        return cls(bands, (projected[:, kept] / size[kept]).T, (atoms[:, kept] / size[kept].to(atoms)).T)


def _averaged(fine: Tensor, seen: _Seen, ratio: int, side: int, chunk: int, gamma: float) -> Tensor:
    """(L, H, W) from (l, H, W), the mean over all patches that a pixel is in."""
    bands, rows, cols = fine.shape
    shape = (min(side, rows), min(side, cols))
    number = torch.arange(rows * cols, device=fine.device).reshape(rows, cols)
    windows = number.unfold(0, shape[0], ratio).unfold(1, shape[1], ratio).reshape(-1, shape[0] * shape[1])
    pixels = fine.reshape(bands, -1).T
    total = seen.spectra.new_zeros(rows * cols, seen.spectra.shape[1])
    for part in windows.split(max(1, _AT_ONCE // windows.shape[1])):
        found = pursue(pixels[part], seen.unit, chunk, gamma)
        total.index_add_(0, part.flatten(), found.times(seen.spectra))
    times = windows.flatten().bincount(minlength=rows * cols)
    return (total / times[:, None]).T.reshape(-1, rows, cols)
