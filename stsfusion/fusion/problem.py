"""Problem: what was observed of a target cube, and what is asked, in plain tensors.

No labels, no files, no NaN: units are settled and masks explicit before a method sees anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from stsfusion.errors import ProblemError
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.linear import Shape
from stsfusion.operators.mix import pick
from stsfusion.window import Window

__all__ = ["ROLES", "Observation", "Problem", "Role", "Target"]

Role = Literal["rich", "sharp", "dense"]
"""The virtue that the target takes from an observation: all bands, the finest pixels, every date."""

ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, eq=False)
class Target:
    """The cube that is asked for."""

    shape: Shape
    """(time, band, y, x)."""

    wavelengths: Tensor
    """(band,) centre wavelengths, nm, in the provider's order."""

    days: Tensor
    """(time,) days since the first date (in a window: of the whole series), rising; fractions allowed."""

    def __post_init__(self) -> None:
        time, band, _, _ = self.shape
        for name, tensor, size in (("wavelengths", self.wavelengths, band), ("days", self.days, time)):
            if tuple(tensor.shape) != (size,):
                raise ProblemError(
                    f"target {name}", expected=f"shape ({size},)", got=f"{tuple(tensor.shape)}"
                )
        if bool((self.days.diff() <= 0).any()):
            raise ProblemError(
                "target days", expected="days that rise", got=f"{self.days.tolist()}", mend="Sort the dates."
            )


@dataclass(frozen=True, eq=False)
class Observation:
    """What one sensor kept of the target; its dates may be given in any order, and are held rising."""

    data: Tensor
    """(time', band', y/r, x/r) reflectance, float32; gaps are filled with anything finite, see `valid`."""

    valid: Tensor
    """bool, four axes, broadcastable to data; False where data must not be believed."""

    view: Degradation
    """How the target became the data."""

    noise: Tensor | None = None
    """(band',) standard deviation of the noise, reflectance; None: unknown."""

    def __post_init__(self) -> None:
        if tuple(self.data.shape) != self.view.out_shape:
            raise ProblemError(
                "observation data",
                expected=f"shape {self.view.out_shape}, as its view gives",
                got=f"{tuple(self.data.shape)}",
            )
        fits = all(own in (1, size) for own, size in zip(self.valid.shape, self.data.shape, strict=False))
        if self.valid.ndim != 4 or not fits or self.valid.dtype != torch.bool:
            raise ProblemError(
                "observation valid",
                expected=f"a bool mask that broadcasts to {tuple(self.data.shape)}",
                got=f"{self.valid.dtype} {tuple(self.valid.shape)}",
            )
        bands = self.data.shape[1]
        if self.noise is not None and tuple(self.noise.shape) != (bands,):
            raise ProblemError(
                "observation noise", expected=f"shape ({bands},)", got=f"{tuple(self.noise.shape)}"
            )
        if not bool(torch.isfinite(self.data).all()):
            raise ProblemError(
                "observation data",
                expected="finite numbers",
                got="NaN or infinity",
                mend="Fill the gaps with any number and mark them in `valid`.",
            )
        self._put_in_order()

    def _put_in_order(self) -> None:
        """Let the dates rise, where the view chooses dates; what rises already is not touched."""
        chosen = self.view.temporal.chosen() or []
        order = sorted(range(len(chosen)), key=chosen.__getitem__)
        if order == list(range(len(chosen))):
            return
        object.__setattr__(self, "data", self.data[order])
        object.__setattr__(self, "valid", self._masks(order))
        object.__setattr__(self, "view", self._view(order))

    def _masks(self, keep: list[int]) -> Tensor:
        """Of these of its own dates; one mask for all dates stays one."""
        return self.valid if self.valid.shape[0] == 1 else self.valid[keep]

    @property
    def dates(self) -> list[int]:
        """Indices of the target's dates that were seen, rising."""
        return self.view.dates

    @property
    def ratio(self) -> int:
        """Target pixels along one side of a pixel."""
        return self.view.ratio

    @property
    def dead_bands(self) -> Tensor:
        """(band',) bool: bands that are valid nowhere on no date, of which nothing can be known."""
        return ~self.valid.expand(self.data.shape).any(3).any(2).any(0)

    def to(self, device: torch.device | str) -> Observation:
        """The same on another device (the view's small weights follow when they are used)."""
        noise = None if self.noise is None else self.noise.to(device)
        return replace(self, data=self.data.to(device), valid=self.valid.to(device), noise=noise)

    def select(self, keep: list[int]) -> Observation:
        """Keep these of its own dates, by position; the target stays as it is."""
        return replace(self, data=self.data[keep], valid=self._masks(keep), view=self._view(keep))

    def _view(self, keep: list[int]) -> Degradation:
        """Of these of its own dates."""
        seen = self.view.dates
        temporal = pick([seen[i] for i in keep], self.view.in_shape)
        spectral = self.view.spectral.with_shape(temporal.out_shape)
        spatial = self.view.spatial.with_shape(spectral.out_shape)
        return Degradation(temporal, spectral, spatial)

    def crop(self, window: Window) -> Observation | None:
        """What it saw of a window of the target; None when it saw none of the window's dates."""
        first, last = window.dates
        keep = [i for i, date in enumerate(self.view.dates) if first <= date < last]
        if not keep:
            return None
        view = self._view(keep).crop(window)
        time = last - first
        temporal = pick([date - first for date in view.dates], (time, *view.in_shape[1:]))
        own = window.coarsen(self.ratio)
        index = (slice(None), slice(None), slice(*own.rows), slice(*own.cols))
        data = self.data[index]
        valid = self.valid.expand(*self.valid.shape[:2], *self.data.shape[2:])[index]
        if len(keep) < len(data):
            data, valid = data[keep], valid if len(valid) == 1 else valid[keep]
        return replace(self, data=data, valid=valid, view=replace(view, temporal=temporal))


@dataclass(frozen=True, eq=False)
class Problem:
    """What was observed, and what is asked."""

    target: Target
    """The cube that is asked for."""

    rich: Observation | None = None
    """The observation with all bands."""

    sharp: Observation | None = None
    """The observation with the finest pixels."""

    dense: Observation | None = None
    """The observation with every date."""

    truth: Tensor | None = field(default=None, repr=False)
    """(time, band, y, x) the true cube; simulation and Wald's protocol only, never shown to a method."""

    def __post_init__(self) -> None:
        for role, observation in self.observations.items():
            if observation.view.in_shape != self.target.shape:
                raise ProblemError(
                    f"problem, role '{role}'",
                    expected=f"a view of the target's {self.target.shape}",
                    got=f"{observation.view.in_shape}",
                )
        if self.truth is not None and tuple(self.truth.shape) != self.target.shape:
            raise ProblemError(
                "problem truth", expected=f"shape {self.target.shape}", got=f"{tuple(self.truth.shape)}"
            )

    @property
    def observations(self) -> dict[Role, Observation]:
        """The observations that are present, by role."""
        found = {role: getattr(self, role) for role in ROLES}
        return {role: observation for role, observation in found.items() if observation is not None}

    def with_observations(self, observations: Mapping[Role, Observation | None]) -> Problem:
        """The same with these roles replaced (None: taken away); the others stay."""
        present: dict[Role, Observation | None] = {**self.observations, **observations}
        rich, sharp, dense = (present.get(role) for role in ROLES)
        return replace(self, rich=rich, sharp=sharp, dense=dense)

    def question(self) -> Problem:
        """The same without the truth: all that a method is ever given."""
        return replace(self, truth=None)

    def to(self, device: torch.device | str) -> Problem:
        """The same on another device."""
        moved = {role: observation.to(device) for role, observation in self.observations.items()}
        truth = None if self.truth is None else self.truth.to(device)
        return replace(self, truth=truth).with_observations(moved)

    def crop(self, window: Window) -> Problem:
        """The problem of a window of dates, rows and columns, edges on multiples of every ratio."""
        time, rows, cols = window.shape
        days = self.target.days[slice(*window.dates)]
        target = Target((time, self.target.shape[1], rows, cols), self.target.wavelengths, days)
        seen = {role: observation.crop(window) for role, observation in self.observations.items()}
        truth = None if self.truth is None else self.truth[window.slices]
        return Problem(target, seen.get("rich"), seen.get("sharp"), seen.get("dense"), truth)

    def require(self, *roles: Role, by: str = "this method") -> tuple[Observation, ...]:
        """The observations of these roles, in this order.

        Raises
        ------
        ProblemError
            Which role is missing, and for whom.
        """
        present = self.observations
        missing = [role for role in roles if role not in present]
        if missing:
            raise ProblemError(
                f"method '{by}'",
                expected=f"observations for the roles {', '.join(roles)}",
                got=", ".join(present) or "none",
                mend=f"Give a cube for '{missing[0]}', or choose a method that does without it.",
            )
        return tuple(present[role] for role in roles)
