"""Sylvester: fusing a coarse and a fine image in a subspace in closed form, for any point spread function.

::

    min over U  ‖Λz^-½ (Z − E U K)‖² + ‖Λy^-½ (Y − R E U)‖² + ‖U − Ū‖²_P

    A U K Kᵀ + G U = D Kᵀ + F        U (p, n) coefficients, K = B S: blur and decimation by the ratio r

    A = Eᵀ Λz⁻¹ E       G = (R E)ᵀ Λy⁻¹ R E + P       D = Eᵀ Λz⁻¹ Z       F = (R E)ᵀ Λy⁻¹ Y + P Ū

With W such that Wᵀ G W = I and Wᵀ A W = diag(g), U = W V falls apart into rows, and by Woodbury's identity

    v = e + (d − g e K) (1 + g Kᵀ K)⁻¹ Kᵀ        d, e: rows of Wᵀ D and Wᵀ F

where Kᵀ K acts on the coarse grid alone. It is a number when the footprints of the coarse pixels do not
overlap, and a circulant when the image is periodic, whose eigenvalues are the means of |k̂|² over the r²
frequencies that decimation folds onto one.

Source: Wei, Dobigeon and Tourneret (2015), doi:10.1109/TIP.2015.2458572, theorem 1 and lemma 1; the use of
Woodbury's identity as in Wei et al. (2016), doi:10.1109/LSP.2016.2608858.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

from stsfusion.errors import ProblemError

__all__ = ["Sylvester", "decimate", "folded_spectrum", "power_spectrum", "spread", "trimmed"]

_GRID = 128
"""Coarse pixels along one side of the torus on which influence is measured."""


@dataclass(frozen=True, eq=False)
class Sylvester:
    """A U K Kᵀ + G U = D Kᵀ + F, solved for U."""

    coarse: Tensor
    """(p, p) A: what the coarse image says of the coefficients; positive semi-definite."""

    fine: Tensor
    """(p, p) G: what the fine image and the prior say of them; positive definite."""

    kernel: Tensor
    """(k, k) point spread function on the fine grid; k − r is even."""

    ratio: int
    """r, fine pixels along one side of a coarse one."""

    @property
    def overlaps(self) -> bool:
        """Whether neighbouring coarse pixels see common fine ones."""
        return self.kernel.shape[0] > self.ratio

    def modes(self) -> tuple[Tensor, Tensor]:
        """(p, p) W and (p,) g, double precision: directions that do not mix, and their gains.

        Raises
        ------
        ProblemError
            When G is not positive definite.
        """
        lower, failed = torch.linalg.cholesky_ex(self.fine.double())
        if int(failed):
            raise ProblemError(
                "Sylvester equation",
                expected="a positive definite matrix G",
                got="one that is not",
                mend="Give the prior more weight, or take fewer components.",
            )
        half = torch.linalg.solve_triangular(lower, self.coarse.double(), upper=False)
        whole = torch.linalg.solve_triangular(lower, half.T, upper=False)
        gains, turned = torch.linalg.eigh((whole + whole.T) / 2)
        return torch.linalg.solve_triangular(lower.T, turned, upper=True), gains.clamp_min(0.0)

    # ------------------------------------------------------------ three kinds of images

    def blocks(self, d: Tensor, f: Tensor) -> Tensor:
        """Exact when footprints do not overlap: per block two p×p inverses, alike for all of them.

        (s A + G) u = s D + F kᵀ , U = G⁻¹ (F + (D − A u) k) , with s = k kᵀ, and u = U kᵀ what the coarse
        pixel of a block sees.

        Parameters
        ----------
        d, f
            (p, h, w) D and (p, H, W) F.

        Returns
        -------
        Tensor
            (p, H, W).

        Raises
        ------
        ProblemError
            When the kernel is wider than the ratio.
        """
        if self.overlaps:
            raise ProblemError(
                "Sylvester equation, block form",
                expected=f"a kernel within {self.ratio}×{self.ratio} pixels",
                got=f"{self.kernel.shape[0]}×{self.kernel.shape[1]}",
                mend="Use `periodic` or `image`.",
            )
        a, g = self.coarse.double(), self.fine.double()
        s = float(self.kernel.double().square().sum())
        seen = _mix(torch.linalg.inv(s * a + g), s * d + decimate(f, self.kernel, self.ratio))
        return _mix(torch.linalg.inv(g), f + spread(d - _mix(a, seen), self.kernel, self.ratio))

    def periodic(self, d: Tensor, f: Tensor) -> Tensor:
        """Exact when the image repeats itself beyond its edges; the kernel may be of any size and displaced.

        Parameters and result as for `blocks`.
        """
        vectors, gains = self.modes()
        e = _mix(vectors.T, f)
        left = _mix(vectors.T, d) - _rows(gains, e) * decimate(e, self.kernel, self.ratio)
        told = self._filtered(left, gains)
        return _mix(vectors, e + spread(told, self.kernel, self.ratio))

    def image(self, d: Tensor, f: Tensor, margin: int) -> Tensor:
        """For an image whose surroundings are unknown: edges are repeated, `margin` coarse pixels wide.

        Take residuals for D and F (what Ū leaves of the data), then hardly anything comes from beyond.
        Exact, and without a margin, when footprints do not overlap.

        Parameters and result as for `blocks`.
        """
        if not self.overlaps:
            return self.blocks(d, f)
        ratio, rows, cols = self.ratio, d.shape[1], d.shape[2]
        reach = -(-(self.kernel.shape[0] - ratio) // (2 * ratio))
        vectors, gains = self.modes()
        e = _mix(vectors.T, f)
        wide = pad(e[None], (reach * ratio,) * 4, "replicate")[0]
        seen = decimate(wide, self.kernel, ratio)[:, reach : reach + rows, reach : reach + cols]
        left = _mix(vectors.T, d) - _rows(gains, e) * seen
        far = pad(left[None], (margin + reach,) * 4, "replicate")[0]
        told = self._filtered(far, gains)[:, margin:, margin:][:, : rows + 2 * reach, : cols + 2 * reach]
        back = spread(told, self.kernel, ratio)[:, reach * ratio :, reach * ratio :]
        return _mix(vectors, e + back[:, : rows * ratio, : cols * ratio])

    def _filtered(self, left: Tensor, gains: Tensor) -> Tensor:
        """(1 + g KᵀK)⁻¹ of (p, h, w), row by row, on a periodic coarse grid."""
        rows, cols = left.shape[1:]
        power = folded_spectrum(self.kernel, self.ratio, (rows, cols))[:, : cols // 2 + 1]
        response = (1.0 / (1.0 + gains[:, None, None].to(power) * power)).to(left)
        return torch.fft.irfft2(torch.fft.rfft2(left) * response, s=(rows, cols))

    # ------------------------------------------------------------ how far it looks

    def influence(self, tolerance: float) -> int:
        """Coarse pixels beyond which residuals of one unit move the answer by less than the tolerance.

        The filter (1 + g KᵀK)⁻¹ falls off exponentially, the slower the more a mode relies on the coarse
        image and the more frequencies the point spread function puts out. Signs are taken at their worst.
        """
        if not self.overlaps:
            return 0
        _, gains = self.modes()
        gains = gains[gains > 0].unique()
        power = folded_spectrum(self.kernel, self.ratio, (_GRID, _GRID)).cpu()
        places = torch.fft.fftfreq(_GRID, 1.0 / _GRID, dtype=torch.float64).abs().long()
        ring = torch.maximum(places[:, None], places[None, :]).flatten()
        farthest = 0
        for gain in gains.tolist():
            answer = torch.fft.ifft2(gain / (1.0 + gain * power)).real.abs().flatten()
            shells = torch.zeros(_GRID // 2 + 1, dtype=torch.float64).index_add_(0, ring, answer)
            beyond = shells.flip(0).cumsum(0).flip(0) * float(power.max())
            farthest = max(farthest, int((beyond > tolerance).sum()))
        return farthest


# ---------------------------------------------------------------- the operator K on a torus


def decimate(image: Tensor, kernel: Tensor, ratio: int) -> Tensor:
    """X K: (p, H, W) to (p, h, w), y[i] = Σ_j kernel[j] · x[r·i + (r − k)/2 + j], indices modulo the size."""
    rows, cols = (_places(n, kernel.shape[a], ratio, image.device) for a, n in enumerate(image.shape[1:]))
    wide = image[:, rows][:, :, cols]
    return conv2d(wide[:, None], kernel.to(image)[None, None], stride=ratio)[:, 0]


def spread(image: Tensor, kernel: Tensor, ratio: int) -> Tensor:
    """X Kᵀ, the adjoint: (p, h, w) to (p, H, W)."""
    height, width = (n * ratio for n in image.shape[1:])
    wide = conv_transpose2d(image[:, None], kernel.to(image)[None, None], stride=ratio)[:, 0]
    rows, cols = (_places(n, kernel.shape[a], ratio, image.device) for a, n in enumerate((height, width)))
    tall = image.new_zeros(len(image), height, wide.shape[2]).index_add_(1, rows, wide)
    return image.new_zeros(len(image), height, width).index_add_(2, cols, tall)


def _places(size: int, kernel: int, ratio: int, device: torch.device) -> Tensor:
    """The fine pixels under all coarse ones, in order."""
    return (torch.arange(size - ratio + kernel, device=device) + (ratio - kernel) // 2) % size


def folded_spectrum(kernel: Tensor, ratio: int, size: tuple[int, int]) -> Tensor:
    """(h, w) eigenvalues of KᵀK on a periodic coarse grid, double precision: |k̂|² averaged over aliases.

    Parameters
    ----------
    kernel
        (ky, kx) point spread function on the fine grid.
    ratio
        Fine pixels along one side of a coarse one.
    size
        (h, w) of the coarse grid.
    """
    power = power_spectrum(kernel, (size[0] * ratio, size[1] * ratio))
    return power.reshape(ratio, size[0], ratio, size[1]).mean((0, 2))


def power_spectrum(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """(H, W) |k̂|² of a kernel on a periodic grid of that size, double precision."""
    y, x = (torch.arange(n, device=kernel.device) for n in kernel.shape)
    placed = torch.zeros(size, dtype=torch.float64, device=kernel.device)
    placed.index_put_((y[:, None] % size[0], x[None, :] % size[1]), kernel.double(), accumulate=True)
    return torch.fft.fft2(placed).abs().square()


def trimmed(kernel: Tensor, ratio: int, share: float = 1e-6) -> Tensor:
    """A kernel without its outer rings while these hold no more than a share of the weight; r×r at least."""
    weight = kernel.abs()
    size, total = kernel.shape[0], float(weight.sum())
    cut = 0
    while size - 2 * (cut + 1) >= ratio:
        inner = weight[cut + 1 : size - cut - 1, cut + 1 : size - cut - 1]
        if total - float(inner.sum()) > share * total:
            break
        cut += 1
    inner = kernel[cut : size - cut, cut : size - cut]
    return inner * (kernel.sum() / inner.sum()) if cut else kernel


def _mix(matrix: Tensor, image: Tensor) -> Tensor:
    return torch.tensordot(matrix.to(image), image, 1)


def _rows(gains: Tensor, like: Tensor) -> Tensor:
    return gains.to(like)[:, None, None]
