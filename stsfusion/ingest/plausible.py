"""Plausible: whether a scene's reflectance can be the ground's; if not, lineage and user are told.

Little is refused: what looks impossible may be a fault of the gains, or a scene of glint; who delivers
knows. Only what no unit of any gains can make is turned away. Looked at before haze is taken away and dates
are brought to one brightness, which would hide it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stsfusion.ingest.finding import known_sensor
from stsfusion.ingest.measure import Bench, Found, Series
from stsfusion.ingest.overlay import Scarred
from stsfusion.ingest.raster import Raster
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.sampled import of_scene, places, sampled
from stsfusion.ingest.spread import begins
from stsfusion.ingest.view import View
from stsfusion.sensing.scene import Scene

__all__ = ["doubts", "looked_at"]

_LOWEST, _HIGHEST = -0.05, 1.3
"""Median reflectance that a band may have: noise below zero, and fresh snow or cloud under a low sun."""

_BLUE, _DARKEST = 520.0, 0.02
"""Bands shorter than this (nm) see at least so much from above the air: at 520 nm clear air alone scatters
3 τ / 16 = 0.023 of the light back to a satellite, τ = 0.125 (Bucholtz 1995, doi 10.1364/AO.34.002765)."""

_LARGEST = 3.2767
"""Reflectance that cubes of whole numbers hold; what is more is cut to it."""

_ABSURD = 1e4
"""Median reflectance that is no fault of units any more: those of radiance in use differ by 1000."""

_CUT = 1e-3
"""Share of a band's pixels that may be cut."""

_SHOWN = 5
"""Bands that are named."""

_EVERY = 2
"""Of the windows that a scene is read in one of so many is enough."""

_SIDE, _ACROSS = 64, 5
"""Pixels along a window of a raw image, and windows along it."""

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def doubts(
    values: Array, valid: Mask, bands: Sequence[str], nm: Sequence[float], *, above_air: bool
) -> list[str]:
    """What cannot be of some pixels, in words.

    Parameters
    ----------
    values, valid
        (band, pixel) reflectance.
    nm
        (band,) centres.
    above_air
        Whether it is reflectance at the top of the atmosphere.
    """
    known = [one[there] for one, there in zip(values, valid, strict=True)]
    medians = np.array([np.median(one) if one.size else np.nan for one in known])
    cut = np.array([np.mean(np.abs(one) > _LARGEST) if one.size else 0.0 for one in known])
    low = np.where((np.asarray(nm) < _BLUE) & above_air, _DARKEST, _LOWEST)
    faults = (
        (medians < low, medians, "median reflectance below what can be"),
        (medians > _HIGHEST, medians, f"median reflectance above {_HIGHEST:g}"),
        (cut > _CUT, cut, f"share of pixels beyond {_LARGEST:g}, which are cut"),
    )
    return [f"{words}: {_named(bands, wrong, shown)}" for wrong, shown, words in faults if wrong.any()]


def _named(bands: Sequence[str], wrong: Mask, shown: Array) -> str:
    which = np.flatnonzero(wrong)
    named = ", ".join(f"{bands[i]} {shown[i]:.3g}" for i in which[:_SHOWN])
    return named + (f" and {len(which) - _SHOWN} more bands" if len(which) > _SHOWN else "")


def looked_at(bench: Bench, series: Series, one: Found) -> Found:
    """A scene with what is doubtful in its lineage, of which the user is warned."""
    scene = one.piece.scene
    windows = places([[scene]], series.spec.grid)[::_EVERY]
    if not windows:
        return one
    (member,) = bench.readers.members([one.piece])
    image = of_scene(replace(member, mask=None), series.spec, series.ratio, False)
    bands = member.view.bands
    nm = [band.wavelength for band in known_sensor(scene.sensor).pick(bands)]
    values, valid = sampled([image], windows)[0]
    _possible(scene, bands, values, valid)
    found = doubts(values, valid, bands, nm, above_air=scene.values != "reflectance")
    found += _blank(member.view)
    for words in found:
        warnings.warn(f"scene {scene.name}: {words}", UserWarning, stacklevel=2)
    return replace(one, told={**one.told, "notes": [*one.told["notes"], *found]})


def _possible(scene: Scene, bands: Sequence[str], values: Array, valid: Mask) -> None:
    """Refuse bands whose numbers hold no reflectance in any unit."""
    for name, one, there in zip(bands, values, valid, strict=True):
        level = float(np.median(np.abs(one[there]))) if there.any() else 0.0
        if not level <= _ABSURD:
            raise DeliveryError(
                f"scene {scene.name}: band {name}",
                expected=f"a median reflectance up to {_ABSURD:g}, whatever the unit of the gains",
                got=f"{level:.3g}",
                mend="Look at the gains of the delivery, or give your own under ingest.gains.",
            )


def _blank(view: View) -> list[str]:
    """Images that hold nothing but fill and saturation, as far as they are looked into."""
    package = known_sensor(view.scene.sensor).package
    top = package.saturation if package is not None and view.scene.values == "counts" else None
    told = []
    for one in view.images:
        # An image in a format of its user's was looked at before it came here.
        raster = one.raster.whole if isinstance(one.raster, Scarred) else one.raster
        stored = _stored(raster) if isinstance(raster, Raster) else None
        if stored is not None and not np.any((stored != one.fill) & (stored < (top or np.inf))):
            told.append(f"image {one.layer.name or view.scene.name}: nothing but fill or saturation")
    return told


def _stored(raster: Raster) -> NDArray[Any]:
    """Stored numbers of some bands in windows that lie evenly over an image."""
    count, rows, cols = raster.shape
    side = min(_SIDE, rows, cols)
    bands = sorted({round(i) for i in np.linspace(0, count - 1, _SHOWN)})
    tops, lefts = (begins((0, size), side, _ACROSS) for size in (rows, cols))
    found = [raster.read((top, top + side), (left, left + side), bands) for top, left in product(tops, lefts)]
    return np.stack(found)
