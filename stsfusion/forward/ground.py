"""Ground: what each pixel of a real scene keeps through all seasons.

Pixels are rows: (pixel, band), (pixel, endmember).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stsfusion.forward.calendar import ARABLE, CROPS
from stsfusion.forward.endmembers import abundances, denoise, extract, smoothing
from stsfusion.forward.fields import Fields, find_fields, mean_by_field
from stsfusion.forward.materials import dry_plants, soil

__all__ = ["Ground", "read_ground"]

Array = NDArray[np.float32]

_ENDMEMBERS = 10
_CLASSES = 12
_SCORES = 6
"""Principal components that the classes are found in."""

_GREEN, _BARE = 0.6, 0.35
"""Vegetation index above which an endmember is green, and below which no plants are in it."""

_CANOPY = 0.3
"""Near-infrared reflectance of a closed canopy, at least; what is green and darker is thin or in shade."""

_LUSH = 0.7
"""Vegetation index above which a class is meadow or wood at the scene's date, and no crop."""

_WHEAT = 0.45
"""Chance that an arable field which leaves its class's crop bears winter wheat."""


@dataclass(frozen=True, eq=False)
class Ground:
    """A scene taken apart."""

    wavelengths: NDArray[np.float64]
    """(band,) nm."""

    fields: Fields
    """Who is managed together."""

    crop: NDArray[np.int64]
    """(field,) index into CROPS."""

    green: Array
    """(pixel, band) the pixel's green canopy in its prime, reflectance."""

    soil: Array
    """(pixel, band) its dry soil, reflectance."""

    lasting: Array
    """(pixel, band) what no season changes, reflectance times its share."""

    share: Array
    """(pixel,) share of the ground that this takes."""

    vigour: Array
    """(pixel,) how much more green cover than the field's mean it grows, as a factor."""

    brightness: Array
    """(pixel,) how much brighter than its field it is, as a factor."""

    model: Array
    """(pixel, band) the scene as its endmembers tell it, reflectance."""

    detail: Array
    """(pixel, band) what they leave out, reflectance."""


def read_ground(scene: Array, wavelengths: NDArray[np.float64], random: np.random.Generator) -> Ground:
    """Take a scene (band, y, x) apart: noise off, endmembers, abundances, fields, crops."""
    clean = np.maximum(denoise(scene), 0.002)
    spectra = np.ascontiguousarray(clean.reshape(len(clean), -1).T)
    fields = find_fields(_scores(spectra, clean.shape[1:]), _CLASSES, random)
    found = extract(spectra, _ENDMEMBERS, random) @ smoothing(wavelengths).T
    pure, (green, bare, lasting) = _materials(spectra, found, wavelengths)
    amount = abundances(spectra, pure)
    model = np.maximum(amount @ pure, 0.004)
    total = np.maximum(amount.sum(axis=1), 1e-3)
    share = np.clip(amount[:, lasting].sum(axis=1) / total - 0.1, 0.0, 0.9) / 0.9
    return Ground(
        wavelengths,
        fields,
        _crops(spectra, wavelengths, fields, random),
        _mixed(amount[:, green], pure[green], fields, random),
        _mixed(amount[:, bare], pure[bare], fields, random),
        share[:, None] * _mixed(amount[:, lasting], pure[lasting], fields, random),
        share,
        1.0 + 0.15 * _within(amount[:, green].sum(axis=1) / total, fields),
        np.clip(total / mean_by_field(total, fields)[fields.number.ravel()], 0.8, 1.2),
        model,
        np.clip((spectra - model) @ smoothing(wavelengths).T, -0.05, 0.05),
    )


def vegetation_index(spectra: Array, wavelengths: NDArray[np.float64]) -> Array:
    """(pixel,) normalised difference of 865 and 660 nm."""
    near, red = (spectra[:, _at(nm, wavelengths)] for nm in (865.0, 660.0))
    return np.asarray((near - red) / np.maximum(near + red, 1e-6))


def _at(nm: float, wavelengths: NDArray[np.float64]) -> int:
    return int(np.argmin(np.abs(wavelengths - nm)))


def _scores(spectra: Array, shape: tuple[int, ...]) -> Array:
    """(score, y, x) half-whitened principal components, averaged over 3×3 pixels."""
    centred = spectra - spectra.mean(axis=0)
    variance, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    scores = (centred @ axes[:, -_SCORES:] / np.maximum(variance[-_SCORES:], 1e-9) ** 0.25).T
    padded = np.pad(scores.reshape(-1, *shape), ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows, cols = shape
    near = [padded[:, i : i + rows, j : j + cols] for i in range(3) for j in range(3)]
    return np.asarray(np.mean(near, axis=0), dtype=np.float32)


def _greenest(spectra: Array, wavelengths: NDArray[np.float64]) -> Array:
    """(band,) mean of the greenest hundredth, so that there is always a green endmember."""
    index = vegetation_index(spectra, wavelengths)
    return np.asarray(spectra[index >= np.quantile(index, 0.99)].mean(axis=0))


def _materials(
    spectra: Array, found: Array, wavelengths: NDArray[np.float64]
) -> tuple[Array, tuple[slice, slice, slice]]:
    """(endmember, band) green, soils, lasting and at last straw, and where the first three groups stand.

    The greenest pixels and a formula's soil always belong to the first two; there may be nothing lasting.
    """
    green, bare, lasting = (found[which] for which in _sorted(found, wavelengths))
    green = np.vstack([green, _greenest(spectra, wavelengths)])
    bare = np.vstack([bare, soil(wavelengths)])
    one, two, three = np.cumsum([len(green), len(bare), len(lasting)]).tolist()
    pure = np.vstack([green, bare, lasting, dry_plants(wavelengths)])
    return pure, (slice(0, one), slice(one, two), slice(two, three))


def _sorted(
    found: Array, wavelengths: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """(endmember,) which are green, soil, and lasting; mixtures of plants and ground are none of these.

    Soil rises from blue to red and on to the short-wave infrared; what does not is built or water.
    """
    index = vegetation_index(found, wavelengths)
    blue, red, near, far = (found[:, _at(nm, wavelengths)] for nm in (480.0, 660.0, 865.0, 1650.0))
    bare = index < _BARE
    earthy = (red > 1.15 * blue) & (near > 1.1 * red) & (far > 0.8 * near)
    return (index > _GREEN) & (near > _CANOPY), bare & earthy, bare & ~earthy


def _mixed(amount: Array, pure: Array, fields: Fields, random: np.random.Generator) -> Array:
    """(pixel, band) the pixel's own mixture within one group of endmembers.

    Where the scene shows little of the group, the field's mean and at last a draw for the field decide.
    """
    usual = mean_by_field(amount, fields)
    drawn = random.dirichlet(np.ones(len(pure)), len(usual)).astype(np.float32)
    if not len(pure):
        return np.zeros((len(amount), pure.shape[1]), dtype=np.float32)
    mix = amount + (0.3 * usual + 0.05 * drawn)[fields.number.ravel()]
    return np.asarray((mix / mix.sum(axis=1, keepdims=True)) @ pure, dtype=np.float32)


def _within(values: Array, fields: Fields) -> Array:
    """(pixel,) deviation from the field's mean in its own standard deviations, at most two."""
    number = fields.number.ravel()
    apart = values - mean_by_field(values, fields)[number]
    spread = np.sqrt(mean_by_field(apart**2, fields))[number]
    return np.asarray(np.clip(apart / np.maximum(spread, 0.02), -2.0, 2.0))


def _crops(
    spectra: Array, wavelengths: NDArray[np.float64], fields: Fields, random: np.random.Generator
) -> NDArray[np.int64]:
    """(field,) crop: green classes are meadow or, the darker half, woodland; the others take turns.

    Three in ten arable fields of their own bear another crop than their class.
    """
    index, near = mean_by_field(
        np.stack([vegetation_index(spectra, wavelengths), spectra[:, _at(865.0, wavelengths)]], 1), fields
    ).T
    kinds = np.unique(fields.kind)
    weight = {k: fields.size * (fields.kind == k) for k in kinds}
    green = [k for k in kinds if np.average(index, weights=weight[k]) > _LUSH]
    dark = sorted(green, key=lambda k: float(np.average(near, weights=weight[k])))[: len(green) // 2]
    arable = iter(np.arange(len(kinds)) % ARABLE)
    names = [crop.name for crop in CROPS]
    of_kind = {
        k: names.index("woodland" if k in dark else "meadow") if k in green else int(next(arable))
        for k in kinds
    }
    crop = np.array([of_kind[k] for k in fields.kind])
    moves = (crop < ARABLE) & ~fields.scattered & (random.random(len(crop)) < 0.3)
    odds = [_WHEAT, *[(1.0 - _WHEAT) / (ARABLE - 1)] * (ARABLE - 1)]
    return np.where(moves, random.choice(ARABLE, len(crop), p=odds), crop)
