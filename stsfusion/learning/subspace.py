"""Subspace: hyperspectral bands as a few noise-whitened principal components."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from stsfusion.errors import ProblemError

__all__ = ["Subspace", "band_noise", "signed"]

_FLOOR = 0.1
"""Noise under this share of the median band's is not believed."""

_LEAST = 1e-5
"""Nor is noise under this share of the standard deviation of the scene's bands."""


@dataclass(frozen=True, eq=False)
class Subspace:
    """x = mean + scores · basis, the scores of unit variance and of noise that is alike in all bands.

    ::

        C = N^½ U diag(λ) Uᵀ N^½ ,  N = diag(noise²)      basis = λ^½ Uᵀ N^½ ,  analysis = N^-½ U λ^-½
    """

    mean: Tensor
    """(band,) reflectance."""

    basis: Tensor
    """(K, band) reflectance per unit of score."""

    analysis: Tensor
    """(band, K) scores per reflectance."""

    noise: Tensor
    """(band,) standard deviation of the noise that was divided by, reflectance."""

    @property
    def rank(self) -> int:
        """K."""
        return self.basis.shape[0]

    @classmethod
    def learn(
        cls,
        pixels: Iterable[Tensor],
        *,
        rank: int,
        share: float = 1.0,
        noise: Tensor | None = None,
    ) -> Self:
        """Principal components of all pixels, after division by the noise.

        Parameters
        ----------
        pixels
            (pixel, band) pieces of valid reflectance.
        rank
            The most components that are kept.
        share
            Share of the whitened variance after which no further component is kept.
        noise
            (band,) standard deviation, reflectance; None: estimated by `band_noise`.

        Raises
        ------
        ProblemError
            When there are fewer than two pixels.
        """
        count, mean, covariance = _moments(pixels)
        sd = band_noise(covariance, count) if noise is None else _believable(noise.to(covariance), covariance)
        values, vectors = torch.linalg.eigh(covariance / torch.outer(sd, sd))
        values, vectors = values.flip(0).clamp_min(0.0), vectors.flip(1)
        enough = int((values.cumsum(0) < share * values.sum()).sum()) + 1
        keep = max(1, min(rank, enough, count - 1, len(values)))
        root = values[:keep].sqrt().clamp_min(1e-6)
        vectors = signed(vectors[:, :keep])
        analysis = vectors / root / sd[:, None]
        basis = (vectors * root * sd[:, None]).T
        return cls(*(t.float().contiguous() for t in (mean, basis, analysis, sd)))

    def project(self, data: Tensor, valid: Tensor, passes: int = 4) -> tuple[Tensor, Tensor]:
        """Scores of every pixel; a pixel lacking a few bands has them filled from its own other bands.

        Parameters
        ----------
        data
            (time, band, y, x) reflectance.
        valid
            bool, broadcastable to data.
        passes
            How often the missing bands are rebuilt from the scores of the last pass.

        Returns
        -------
        tuple of Tensor
            (time, K, y, x) scores and the (time, 1, y, x) mask of pixels with at least half of their bands.
        """
        mask = valid.expand(*valid.shape[:2], *data.shape[2:])
        usable = (mask.float().mean(1, keepdim=True) >= 0.5).expand(data.shape[0], 1, *data.shape[2:])
        mean = self.mean[:, None, None]
        scores = self._analyse(torch.where(mask, data - mean, 0.0))
        if mask.shape[1] > 1 and not bool((mask | ~usable).all()):
            for _ in range(passes):
                scores = self._analyse(torch.where(mask, data - mean, self._synthesise(scores)))
        return torch.where(usable, scores, 0.0), usable

    def expand(self, scores: Tensor) -> Tensor:
        """(time, band, y, x) reflectance of (time, K, y, x) scores."""
        return self._synthesise(scores) + self.mean[:, None, None]

    def _analyse(self, centred: Tensor) -> Tensor:
        return torch.einsum("bk,tbyx->tkyx", self.analysis, centred)

    def _synthesise(self, scores: Tensor) -> Tensor:
        return torch.einsum("kb,tkyx->tbyx", self.basis, scores)

    def tensors(self) -> dict[str, Tensor]:
        """Everything it consists of, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The subspace that `tensors` came from."""
        return cls(**{field.name: tensors[field.name] for field in fields(cls)})


def band_noise(covariance: Tensor, count: int) -> Tensor:
    """What of every band the other bands cannot tell: σ_b² = 1 / (C⁻¹)_bb, held above a tenth of the median.

    Parameters
    ----------
    covariance
        (band, band) of the observed reflectance, float64.
    count
        Pixels that it was computed from; fewer than four per band weaken the estimate towards the total
        standard deviation.

    Source: the regression of Bioucas-Dias and Nascimento (2008), sec. II, in closed form.
    """
    bands = len(covariance)
    own = covariance.diagonal()
    total = own.clamp_min(1e-12 * float(own.mean()) or 1e-12)
    load = 1e-8 + max(0.0, 1.0 - count / (4.0 * bands))
    loaded = covariance + torch.diag(load * total)
    return _believable(torch.linalg.inv(loaded).diagonal().reciprocal().clamp_min(0.0).sqrt(), covariance)


def _believable(sd: Tensor, covariance: Tensor) -> Tensor:
    """Not below a share of the other bands', nor of what the scene varies by, in whatever unit."""
    spread = float(covariance.diagonal().clamp_min(0.0).mean().sqrt())
    return sd.clamp_min(max(_FLOOR * float(sd.median()), _LEAST * spread or _LEAST))


def _moments(pixels: Iterable[Tensor]) -> tuple[int, Tensor, Tensor]:
    """Number, mean and covariance in double precision, piece by piece about the first piece's mean."""
    count = 0
    sums: list[Tensor] = []
    for piece in (p.double() for p in pixels if len(p)):
        if not sums:
            sums = [piece.mean(0), torch.zeros_like(piece[0]), torch.zeros_like(piece.T @ piece)]
        centred = piece - sums[0]
        sums[1] += centred.sum(0)
        sums[2] += centred.T @ centred
        count += len(piece)
    if count < 2:
        raise ProblemError(
            "subspace",
            expected="at least two valid hyperspectral pixels",
            got=f"{count}",
            mend="Sample more or larger tiles, or loosen the mask.",
        )
    origin, first, second = sums
    shift = first / count
    return count, origin + shift, second / count - torch.outer(shift, shift)


def signed(vectors: Tensor) -> Tensor:
    """Columns turned so that the entry of largest size is positive: an eigenvector's sign is free."""
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return torch.where(largest < 0, -vectors, vectors)
