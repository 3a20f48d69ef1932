"""Exhibit: a stage of which pictures are kept as well: of every answer, and of methods' footprints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from stsfusion.forward.padding import unpad
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Problem
from stsfusion.pipeline.contest import Row, Table
from stsfusion.pipeline.fingerprint import fingerprint
from stsfusion.pipeline.pairstage import PairStage
from stsfusion.pipeline.plates import MAPS, Plates, every
from stsfusion.pipeline.trial import Trial
from stsfusion.views.composite import FALSE, TRUE, Choice, Composite, choose

__all__ = ["Exhibit", "kernel_of"]

_FORM = 1
"""Of what is kept; another number, and rows are computed anew."""


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A scene under a protocol, see `contest.Stage`, and what is shown of the answers."""

    stage: PairStage
    """The question and its judge."""

    @property
    def problem(self) -> Problem:
        """What is asked."""
        return self.stage.problem

    @property
    def said(self) -> Row:
        """What stands beside the figures."""
        return self.stage.said

    words: ClassVar[Mapping[str, str]] = {"hyperspectral": "given, coarse", "multispectral": "given, sharp"}
    """What is said of the images that methods were given."""

    maps: ClassVar[tuple[str, ...]] = MAPS
    """Error maps that are shown."""

    @property
    def title(self) -> str:
        """The question as pictures are headed."""
        return f"{self.stage.scene.name}, {self.stage.protocol.psf}"

    @property
    def wavelengths(self) -> NDArray[np.float64]:
        """(band,) nm."""
        return self.stage.scene.wavelengths

    def figure(self, table: Table, name: str) -> float | None:
        """A number of a method's table that goes with its pictures."""
        value: float | None = table["rows"][0][name]
        return value

    @property
    def place(self) -> str:
        """Scene and point spread function."""
        return f"{self.stage.scene.name} {self.stage.protocol.psf}"

    @property
    def blank(self) -> Row:
        """No scores."""
        return self.stage.blank

    def key(self, method: FusionMethod) -> str:
        """Fingerprint of all that a method's scores and pictures depend on."""
        return fingerprint(self.stage.key(method), "exhibit", _FORM, list(self.choice.bands))

    def judge(self, answer: Answer) -> Table:
        """The scores."""
        return {**self.stage.judge(answer)}

    def keepsake(self, trial: Trial) -> Mapping[str, Any]:
        """`plates` of the answer, and the `kernel` that the method worked with."""
        truth = self.stage.scene.values
        image = unpad(trial.answer.date(0), *truth.shape[1:]).numpy()
        return {
            "plates": Plates.of(image, truth, self.choice.bands).to_json(),
            "kernel": kernel_of(trial.learned),
        }

    @cached_property
    def composite(self) -> Composite:
        """True colour, or false colour where the scene sees no blue."""
        return TRUE if choose(self._labelled, TRUE).exact else FALSE

    @cached_property
    def choice(self) -> Choice:
        """The scene's bands that are shown as red, green and blue."""
        return choose(self._labelled, self.composite)

    @property
    def _labelled(self) -> xr.DataArray:
        scene = self.stage.scene
        return _cube(scene.values, scene.wavelengths)

    def given(self) -> dict[str, NDArray[np.float32]]:
        """(3, y, x) composites of the truth and of what methods were given, on the truth's pixels."""
        truth = self.stage.scene.values
        size, ratio = (truth.shape[1], truth.shape[2]), self.stage.protocol.ratio
        seen = self.problem.observations
        coarse = seen["rich"].data[0][list(self.choice.bands)]
        large = coarse.repeat_interleave(ratio, 1).repeat_interleave(ratio, 2)
        looks = {"truth": torch.from_numpy(truth[list(self.choice.bands)]), "hyperspectral": large}
        looks["multispectral"] = seen["sharp"].data[0][list(self._sharp().bands)]
        step = every(size)
        return {name: unpad(look, *size)[:, step, step].numpy() for name, look in looks.items()}

    def _sharp(self) -> Choice:
        """The multispectral bands nearest to the composite's."""
        weights = self.stage.bands.weights.numpy()
        centres = weights @ self.stage.scene.wavelengths / np.maximum(weights.sum(1), 1e-12)
        return choose(_cube(np.zeros((len(centres), 1, 1), np.float32), centres), self.composite)


def _cube(values: NDArray[np.float32], wavelengths: NDArray[np.float64]) -> xr.DataArray:
    return xr.DataArray(values, dims=("band", "y", "x"), coords={"wavelength": ("band", wavelengths)})


def kernel_of(learned: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The point spread function in a method's state, and whether it learnt it itself; None: there is none.

    A network that learns its own keeps it as `0.psf`, one row of ratio² weights; all others work with the
    kernel of the sensor model, `0.model.kernel`.
    """
    own = learned.get("0.psf")
    if own is not None and own.shape[0] == 1:
        side = round(own.shape[1] ** 0.5)
        return {"learnt": True, "weights": own.reshape(side, side).double().tolist()}
    found = learned.get("0.model.kernel")
    return None if found is None else {"learnt": False, "weights": found.double().tolist()}
