"""Degradation: spatial ∘ spectral ∘ temporal, what one sensor keeps of the target cube."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.operators.blur import Blur, identity_kernel
from stsfusion.operators.linear import Linear, Shape
from stsfusion.operators.mix import Mix, pick
from stsfusion.window import Window

__all__ = ["Degradation"]


@dataclass(frozen=True, eq=False)
class Degradation(Linear):
    """(time, band, y, x) of the target -> (time', band', y/r, x/r) of one observation."""

    temporal: Mix
    """Dates of the target that this observation saw."""

    spectral: Mix
    """Its bands' responses over the target's wavelengths."""

    spatial: Blur
    """Its point spread function and ratio."""

    def __post_init__(self) -> None:
        for name, inner, outer in (
            ("spectral", self.temporal.out_shape, self.spectral.in_shape),
            ("spatial", self.spectral.out_shape, self.spatial.in_shape),
        ):
            if inner != outer:
                raise ProblemError(
                    f"degradation, {name} part",
                    expected=f"input shape {inner}",
                    got=f"{outer}",
                    mend="Build it with Degradation.of, which fits the parts together.",
                )

    @classmethod
    def of(
        cls,
        shape: Shape,
        *,
        dates: list[int] | Mix | None = None,
        spectral: Tensor | None = None,
        kernel: Tensor | None = None,
        ratio: int = 1,
        known: bool = True,
    ) -> Degradation:
        """Fit the three parts together for a target of this shape.

        Parameters
        ----------
        shape
            (time, band, y, x) of the target.
        dates
            Indices of the target's dates that were seen; None: all.
        spectral
            (band', band) responses, rows of unit sum; None: the target's own bands.
        kernel
            (ky, kx) point spread function on the target's grid; None: as sharp as the grid.
        ratio
            Decimation.
        known
            False: `spectral` is true only in its support, `kernel` only in its size.
        """
        if isinstance(dates, Mix):
            temporal = dates.with_shape(shape)
        else:
            temporal = pick(range(shape[0]) if dates is None else dates, shape)
        seen = temporal.out_shape
        if spectral is None:
            bands = pick(range(shape[1]), seen, "band")
        else:
            bands = Mix(spectral, "band", seen, known=known)
        return cls(
            temporal,
            bands,
            Blur(identity_kernel() if kernel is None else kernel, ratio, bands.out_shape, known=known),
        )

    @property
    def in_shape(self) -> Shape:
        """Shape of the target."""
        return self.temporal.in_shape

    @property
    def out_shape(self) -> Shape:
        """Shape of the observation."""
        return self.spatial.out_shape

    @property
    def ratio(self) -> int:
        """Target pixels along one side of the observation's pixel."""
        return self.spatial.ratio

    @property
    def dates(self) -> list[int]:
        """Indices of the target's dates that were seen.

        Raises
        ------
        ProblemError
            When the temporal part mixes dates instead of choosing them.
        """
        chosen = self.temporal.chosen()
        if chosen is None:
            raise ProblemError(
                "degradation, temporal part", expected="rows that choose one date", got="rows that mix dates"
            )
        return chosen

    def crop(self, window: Window) -> Degradation:
        """The same sensor for a window of the target's rows and columns; all dates are kept."""
        _, rows, cols = window.shape
        time, band, _, _ = self.in_shape
        temporal = self.temporal.with_shape((time, band, rows, cols))
        spectral = self.spectral.with_shape(temporal.out_shape)
        return Degradation(temporal, spectral, self.spatial.with_shape(spectral.out_shape))

    def _apply(self, x: Tensor) -> Tensor:
        return self.spatial(self.spectral(self.temporal(x)))

    def _transpose(self, y: Tensor) -> Tensor:
        return self.temporal.adjoint(self.spectral.adjoint(self.spatial.adjoint(y)))
