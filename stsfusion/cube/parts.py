"""Parts: the arrays of a dataset that are cut into shards; what each holds, and how large its pieces are.

::

    a full dataset      reflectance (time, band, y, x) int16    sigma (time, band, y, x) uint16, if kept
    a compact one       coefficients, carry (time, coefficient, y, x) int16
                        dead (time, band, shard, shard) bool
                        residual (time, band, y/r, x/r) int16, if there is one
                        sigma_anchors (time, anchor, y, x) uint16, if kept
    both                valid, qa (time, y, x)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stsfusion.cube.compact import COUNTS
from stsfusion.cube.factors import BOUND
from stsfusion.cube.packing import REFLECTANCE, SIGMA, Packing
from stsfusion.cube.spec import CubeSpec

__all__ = ["FLAGS", "ORIGIN", "TILED", "Part", "marks_of", "parts_of", "story_of"]

FLAGS = {0: "no_data", 1: "observed", 2: "fused", 3: "interpolated", 4: "extrapolated", 5: "filled"}
"""How a pixel of a date came to be, by its number in `qa`."""

ORIGIN = 7
"""The bits of `qa` that hold that number; further bits are the marks of a frame that has some."""

TILED = (
    "reflectance",
    "sigma",
    "coefficients",
    "carry",
    "residual",
    "dead",
    "sigma_anchors",
    "valid",
    "qa",
)
"""Arrays that are cut into shards."""

_QUANTITIES = ("toa_bidirectional_reflectance", "surface_bidirectional_reflectance")
"""Names of CF that the attribute `quantity` of a dataset may have."""

_MAPPED = {"grid_mapping": "spatial_ref"}
_PLACED = {**_MAPPED, "coordinates": "spatial_ref"}


_LEVEL = 7
"""For counts of few bits: seven per cent smaller than level 3, and still quicker to write than all bands."""


@dataclass(frozen=True)
class Part:
    """One array (time, …, rows, columns): a date and everything between in one chunk."""

    dtype: str
    """Type in the file."""

    fill: int
    """What an unwritten place reads as."""

    shape: tuple[int, ...]
    """Of the whole."""

    dims: tuple[str, ...]
    """Their names."""

    inner: int
    """Pixels along one side of an inner chunk."""

    shard: int
    """Pixels along one side of a shard."""

    attributes: Mapping[str, Any] = field(default_factory=dict)
    """What it says of itself."""

    level: int = 3
    """How hard the compressor tries."""

    shuffle: str = "shuffle"
    """What is sorted before it is compressed: bytes, or (bitshuffle) bits."""

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of an inner chunk."""
        return self._piece(self.inner)

    @property
    def shards(self) -> tuple[int, ...] | None:
        """Shape of a shard; None where one would hold a single chunk of one pixel."""
        return None if self.shard == 1 else self._piece(self.shard)

    def _piece(self, side: int) -> tuple[int, ...]:
        return 1, *self.shape[1:-2], side, side


def parts_of(spec: CubeSpec) -> dict[str, Part]:
    """Every array of a frame that is cut into shards, by name."""
    return (_full(spec) if spec.factors is None else _compact(spec)) | _planes(spec)


def story_of(spec: CubeSpec) -> dict[str, str]:
    """What a compact dataset tells a person who opens it with other tools: how its bands come back."""
    if spec.factors is None:
        return {}
    residual = " + bicubic(residual)" if spec.factors.ratio else ""
    told = {
        "product": "compact",
        "expansion": "reflectance(time, band, y, x) = mean_spectrum(band) + sum over coefficient of"
        f" [coefficients + carry](time, coefficient, y, x) * basis(coefficient, band){residual};"
        f" largest error {BOUND:g}; a gap where a coefficient is missing, or the band is dead in its shard of"
        f" {spec.shard} pixels. In Python: stsfusion.open_cube(path) expands it lazily.",
    }
    if spec.factors.anchors is not None:
        told["sigma_expansion"] = (
            "sigma(time, band, y, x) = sum over anchor of sigma_anchors(time, anchor, y, x)"
            " * sigma_weights(anchor, band), not below zero; largest relative error on the sample from which"
            f" the weights come {spec.factors.anchors.error:g}"
        )
    return told


def marks_of(attributes: Mapping[str, Any]) -> dict[str, int]:
    """The marks that `qa` says it has."""
    names, first = attributes["flag_meanings"].split(), len(FLAGS)
    return dict(zip(names[first:], attributes.get("flag_masks", [])[first:], strict=True))


def _full(spec: CubeSpec) -> dict[str, Part]:
    parts = {"reflectance": _banded(spec, REFLECTANCE, "reflectance", _quantity(spec))}
    if spec.sigma:
        parts["sigma"] = _banded(spec, SIGMA, "standard deviation of reflectance")
    return parts


def _quantity(spec: CubeSpec) -> dict[str, str]:
    """The standard name of the numbers, where the dataset says which reflectance they are."""
    said = spec.attributes.get("quantity")
    return {"standard_name": said} if said in _QUANTITIES else {}


def _banded(spec: CubeSpec, packing: Packing, long_name: str, more: Mapping[str, str] | None = None) -> Part:
    beside = "wavelength fwhm spatial_ref" if spec.fwhm else "wavelength spatial_ref"
    numbers = {"scale_factor": packing.scale, "_FillValue": packing.gap, "units": "1"}
    told = {"long_name": long_name, **(more or {}), **numbers, **_MAPPED, "coordinates": beside}
    return Part(packing.dtype, packing.gap, spec.shape, _DIMS["band"], spec.inner, spec.shard, told)


_DIMS = {name: ("time", name, "y", "x") for name in ("band", "coefficient", "anchor")}


def _compact(spec: CubeSpec) -> dict[str, Part]:
    assert spec.factors is not None
    factors = spec.factors
    step, span = factors.step, COUNTS.most - COUNTS.least + 1
    counts = {"scale_factor": step, "_FillValue": COUNTS.gap, "units": "1"}
    parts = {
        "coefficients": _maps(spec, factors.rank, COUNTS.gap, "the most that a spectrum adds", counts),
        "carry": _maps(
            spec,
            factors.rank,
            0,
            "what coefficients are more than their counts can tell",
            {"scale_factor": step * span, "units": "1"},
        ),
        "dead": _dead(spec),
    }
    if factors.ratio is not None:
        parts["residual"] = _residual(spec, factors.ratio, factors.residual_step)
    if factors.anchors is not None:
        told = {"scale_factor": SIGMA.scale, "_FillValue": SIGMA.gap, "units": "1"}
        told = {"long_name": "standard deviation of reflectance in a few bands", **told, **_PLACED}
        shape = (spec.shape[0], len(factors.anchors.bands), *spec.shape[2:])
        parts["sigma_anchors"] = Part(
            SIGMA.dtype, SIGMA.gap, shape, _DIMS["anchor"], spec.inner, spec.shard, told
        )
    return parts


def _maps(spec: CubeSpec, rank: int, fill: int, long_name: str, numbers: Mapping[str, Any]) -> Part:
    time, _, y, x = spec.shape
    told = {"long_name": long_name, **numbers, **_PLACED}
    shape = (time, rank, y, x)
    return Part(
        "int16", fill, shape, _DIMS["coefficient"], spec.inner, spec.shard, told, _LEVEL, "bitshuffle"
    )


def _dead(spec: CubeSpec) -> Part:
    """One place a band and shard: written only where a band is dead."""
    time, band, y, x = spec.shape
    shape = (time, band, math.ceil(y / spec.shard), math.ceil(x / spec.shard))
    told = {"long_name": "nothing is known of the band in this shard"}
    return Part("bool", 0, shape, ("time", "band", "y_shard", "x_shard"), 1, 1, told)


def _residual(spec: CubeSpec, ratio: int, step: float | None) -> Part:
    time, band, y, x = spec.shape
    told = {
        "long_name": "what the basis leaves out, on a coarse grid",
        "ratio": ratio,
        "scale_factor": step,
        "_FillValue": COUNTS.gap,
        "units": "1",
    }
    dims = ("time", "band", "y_coarse", "x_coarse")
    inner = spec.inner if spec.inner % ratio else spec.inner // ratio
    shard = spec.shard // ratio
    inner = inner if shard % inner == 0 else shard
    return Part("int16", COUNTS.gap, (time, band, y // ratio, x // ratio), dims, inner, shard, told)


def _planes(spec: CubeSpec) -> dict[str, Part]:
    """The arrays without bands; CF tells numbers under a mask and single bits apart by both lists."""
    flags: dict[str, Any] = {"flag_values": list(FLAGS), "flag_meanings": " ".join(FLAGS.values())}
    if spec.marks:
        bits = list(spec.marks.values())
        flags = {
            "flag_masks": [ORIGIN] * len(FLAGS) + bits,
            "flag_values": [*FLAGS, *bits],
            "flag_meanings": " ".join([*FLAGS.values(), *spec.marks]),
        }
    return {
        "valid": _plane(spec, "bool", {"long_name": "at least one band holds a value"}),
        "qa": _plane(spec, "uint16", {"long_name": "how the pixel came to be", **flags}),
    }


def _plane(spec: CubeSpec, dtype: str, told: Mapping[str, Any]) -> Part:
    time, _, y, x = spec.shape
    return Part(dtype, 0, (time, y, x), ("time", "y", "x"), spec.inner, spec.shard, {**told, **_MAPPED})
