"""PairStage: a hyperspectral scene under a protocol, what is asked of a method, and how its answer is judged.

::

    scene ─ footprint, ratio ─► rich ──┐
       └─ sensor's response ──► sharp ─┴─► problem        what was done: the true views
                                  └─► told to methods     what is said:  the nominal ones, when blind
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from stsfusion.errors import CubeError
from stsfusion.forward.noise import add_noise, relative, stream
from stsfusion.forward.padding import pad_to_multiple, unpad
from stsfusion.fusion.answer import Answer
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Observation, Problem, Role, Target
from stsfusion.fusion.weights import settings_of
from stsfusion.operators.blur import Blur, identity_kernel
from stsfusion.operators.degradation import Degradation
from stsfusion.operators.linear import Shape
from stsfusion.operators.mix import Mix, pick
from stsfusion.pipeline.fingerprint import fingerprint, fingerprint_of_code
from stsfusion.pipeline.footprint import footprint, nominal_footprint
from stsfusion.pipeline.intervals import INTERVALS, intervals
from stsfusion.pipeline.multispectral import Multispectral, covered_by, seen_by
from stsfusion.pipeline.pairprotocol import PairProtocol
from stsfusion.pipeline.scene import Partner, Scene
from stsfusion.pipeline.stage import Extent
from stsfusion.quality.scores import score

__all__ = ["SCORES", "PairStage"]

SCORES = ("psnr", "sam", "ergas", "rmse", "ssim", "cc", "uiqi", "mrae")
"""Columns of the table, in this order."""


@dataclass(frozen=True, eq=False)
class PairStage:
    """A scene under a protocol, see `contest.Stage`."""

    scene: Scene
    """The hyperspectral image that is taken to be true."""

    protocol: PairProtocol
    """What is made of it."""

    def __post_init__(self) -> None:
        rows, cols = self.scene.values.shape[1:]
        if min(rows, cols) < 2 * self.protocol.ratio:
            raise CubeError(
                f"scene {self.scene.name}",
                expected=f"at least two pixels of the ratio {self.protocol.ratio} either way",
                got=f"{rows} × {cols}",
                mend="Choose a smaller --ratio.",
            )

    @cached_property
    def bands(self) -> Multispectral:
        """The multispectral bands; raises SensorError where the scene does not cover them."""
        if self.scene.partner is not None:
            return covered_by(self.scene.partner, self.scene)
        return seen_by(self.protocol.msi, self.scene, self.protocol.bands)

    @cached_property
    def kernel(self) -> Tensor:
        """(k, k) the true footprint; raises ProblemError where there is none of that name."""
        return footprint(self.protocol.psf, self.protocol.ratio, self.protocol.shift)

    @cached_property
    def problem(self) -> Problem:
        """The problem with its truth, padded by reflection to multiples of the ratio."""
        truth = pad_to_multiple(torch.from_numpy(self.scene.values)[None], self.protocol.ratio)
        nm = torch.from_numpy(self.scene.wavelengths)
        target = Target((1, *truth.shape[1:]), nm, torch.zeros(1))
        return Problem(target, self._rich(truth), self._sharp(truth), truth=truth)

    @cached_property
    def said(self) -> dict[str, Any]:
        """Scene, protocol and version as plain JSON: what stands beside the figures."""
        band, rows, cols = self.scene.values.shape
        return {
            "scene": self.scene.name,
            **self.protocol.settings(),
            "bands": list(self.bands.names),
            "scene_shape": {"bands": band, "rows": rows, "cols": cols},
            "scene_sha256": fingerprint(self.scene.values, self.scene.wavelengths),
            "notes": [*self.scene.notes, *self.bands.notes],
            "stsfusion": version("stsfusion"),
        }

    @property
    def blank(self) -> dict[str, Any]:
        """No scores."""
        return dict.fromkeys((*SCORES, *INTERVALS))

    def key(self, method: FusionMethod) -> str:
        """Fingerprint of all that a method's scores depend on: scene, question, settings and code."""
        return fingerprint(self._asked, settings_of(method), fingerprint_of_code(method), self.blank)

    @cached_property
    def _asked(self) -> str:
        return fingerprint(self.problem, self.scene.values.shape)

    def judge(self, answer: Answer) -> dict[str, list[dict[str, Any]]]:
        """`rows`: one, of the scores on the scene's own extent.

        Raises
        ------
        ProblemError
            When the answer has another shape, or is not finite where it is scored.
        """
        truth = torch.from_numpy(self.scene.values)[None]
        own = Extent(answer, *truth.shape[2:])
        scores = score(own, truth, self.protocol.ratio, [0], names=SCORES).average().values
        sigma = answer.sigma_of(0)
        inside = intervals(own.date(0), truth[0], None if sigma is None else unpad(sigma, *truth.shape[2:]))
        return {"rows": [{**scores, **inside}]}

    def _rich(self, truth: Tensor) -> Observation:
        """The scene through its footprint."""
        shape, ratio = _shape(truth), self.protocol.ratio
        view = _view(shape, None, Blur(self.kernel, ratio, shape))
        told = Blur(nominal_footprint(ratio), ratio, shape, known=False) if self.protocol.blind else None
        return self._seen("rich", view(truth), _view(shape, None, told) if told else view)

    def _sharp(self, truth: Tensor) -> Observation:
        """The scene through the sensor's response, or the real image on the same pixels."""
        shape, bands = _shape(truth), self.bands
        if self.scene.partner is not None:
            return self._real(shape, self.scene.partner)
        view = _sharp_view(shape, bands.weights)
        told = _sharp_view(shape, bands.uniform, known=False) if self.protocol.blind else view
        return self._seen("sharp", view(truth), told)

    def _real(self, shape: Shape, partner: Partner) -> Observation:
        """As it was taken; that it may lie a little off the grid is left open by an unknown kernel."""
        data = pad_to_multiple(torch.from_numpy(partner.values)[None], self.protocol.ratio)
        return _observed(data, _sharp_view(shape, self.bands.uniform, known=False, placed=False))

    def _seen(self, role: Role, data: Tensor, told: Degradation) -> Observation:
        """An image with its noise, of whose size methods are told nothing when blind."""
        if self.protocol.snr_db is None:
            return _observed(data, told)
        level = relative(data[0], self.protocol.snr_db)
        noisy = add_noise(data[0], level, stream(self.protocol.seed, "noise", role))
        return _observed(noisy[None], told, None if self.protocol.blind else level.total)


def _shape(truth: Tensor) -> Shape:
    time, band, rows, cols = truth.shape
    return time, band, rows, cols


def _view(shape: Shape, spectral: Mix | None, spatial: Blur) -> Degradation:
    return Degradation(pick([0], shape), spectral or pick(range(shape[1]), shape, "band"), spatial)


def _sharp_view(shape: Shape, weights: Tensor, *, known: bool = True, placed: bool = True) -> Degradation:
    """An image as sharp as the grid; `placed=False`: its kernel is unknown, so it may lie a little off."""
    spectral = Mix(weights, "band", shape, known=known)
    kernel = identity_kernel() if placed else pad(identity_kernel(), (1, 1, 1, 1))
    return _view(shape, spectral, Blur(kernel, 1, spectral.out_shape, known=placed))


def _observed(data: Tensor, view: Degradation, noise: Tensor | None = None) -> Observation:
    return Observation(data.float(), torch.ones(1, 1, 1, 1, dtype=torch.bool), view, noise)
