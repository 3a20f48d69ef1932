"""Fields: a scene cut into patches of ground that are managed alike.

Pixels are clustered by their spectra, small specks take their neighbours' class, and what hangs together in
one class is a field; patches below `SMALLEST` of one class are pooled into one scattered field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fields", "find_fields", "mean_by_field"]

SMALLEST = 24
"""Pixels below which a patch is no field of its own."""

_ROUNDS = 25
"""Steps of the clustering."""

Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fields:
    """Which field each pixel belongs to, and which class each field."""

    number: Labels
    """(y, x) from 0."""

    kind: Labels
    """(field,) class from 0."""

    size: Labels
    """(field,) pixels."""

    scattered: NDArray[np.bool_]
    """(field,) True where small patches were pooled."""


def find_fields(scores: NDArray[np.float32], classes: int, random: np.random.Generator) -> Fields:
    """Cut an image of spectral scores (score, y, x) into fields of this many classes."""
    kinds = _vote(_vote(_cluster(scores, classes, random), classes), classes)
    patches = _connected(kinds)
    _, patch, sizes = np.unique(patches, return_inverse=True, return_counts=True)
    patch = patch.reshape(kinds.shape)
    small = sizes[patch] < SMALLEST
    keys = np.where(small, -1 - kinds, patch)
    found, number, size = np.unique(keys, return_inverse=True, return_counts=True)
    number = number.reshape(kinds.shape)
    kind = np.zeros(len(found), dtype=np.int64)
    kind[number.ravel()] = kinds.ravel()
    return Fields(number, kind, size, found < 0)


def mean_by_field(values: NDArray[np.float32], fields: Fields) -> NDArray[np.float32]:
    """(field, …) means of (pixel, …)."""
    total = np.zeros((len(fields.size), *values.shape[1:]))
    np.add.at(total, fields.number.ravel(), values)
    return (total / fields.size.reshape(-1, *[1] * (values.ndim - 1))).astype(np.float32)


def _cluster(scores: NDArray[np.float32], classes: int, random: np.random.Generator) -> Labels:
    """k-means; the first centres are drawn far from each other."""
    flat = scores.reshape(len(scores), -1).T.astype(np.float64)
    centres = flat[random.integers(len(flat))][None]
    for _ in range(classes - 1):
        far = _distances(flat, centres).min(axis=1)
        centres = np.vstack([centres, flat[random.choice(len(flat), p=far / far.sum())]])
    for _ in range(_ROUNDS):
        nearest = _distances(flat, centres).argmin(axis=1)
        for kind in np.unique(nearest):
            centres[kind] = flat[nearest == kind].mean(axis=0)
    return np.asarray(_distances(flat, centres).argmin(axis=1).reshape(scores.shape[1:]))


def _distances(flat: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = (flat**2).sum(axis=1)[:, None] - 2.0 * flat @ centres.T + (centres**2).sum(axis=1)
    return np.maximum(squares, 0.0)


def _vote(kinds: Labels, classes: int) -> Labels:
    """The commonest class of 3×3 pixels."""
    votes = np.zeros((classes, *kinds.shape))
    padded = np.pad(kinds, 1, mode="edge")
    rows, cols = kinds.shape
    for down in range(3):
        for right in range(3):
            near = padded[down : down + rows, right : right + cols]
            votes += (near == np.arange(classes)[:, None, None]) * (1.5 if down == right == 1 else 1.0)
    return np.asarray(votes.argmax(axis=0))


def _connected(kinds: Labels) -> Labels:
    """(y, x) label of each patch: the smallest pixel index in it, spread until nothing changes."""
    label = np.arange(kinds.size).reshape(kinds.shape)
    down, right = kinds[1:] == kinds[:-1], kinds[:, 1:] == kinds[:, :-1]
    while True:
        before = label.copy()
        for low, high, same in ((label[:-1], label[1:], down), (label[:, :-1], label[:, 1:], right)):
            # The two overlap in memory, so that the second write must see the first.
            low[same] = np.minimum(low, high)[same]
            high[same] = np.minimum(low, high)[same]
        label = label.ravel()[label]
        if np.array_equal(label, before):
            return label
