"""Seriestruth: a true series by its name or from its file, and the middle of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from stsfusion.forward.sample import SAMPLES, open_scene
from stsfusion.forward.seasons import make_seasons
from stsfusion.pipeline.truth import Truth, read_truth

__all__ = ["file_of", "middle_of", "true_series"]


def file_of(text: str, near: Path) -> Path:
    """A path as it is seen from a recipe's folder, or else from the working folder."""
    return near / text if (near / text).is_file() else Path(text)


def true_series(text: str, near: Path, seed: int) -> Truth:
    """A packaged scene dressed for seven dates, or a NetCDF file, see `read_truth`.

    Parameters
    ----------
    near
        Folder from which a path is seen first.
    seed
        Of the seasons.
    """
    path = file_of(text, near)
    if path.is_file() or text not in SAMPLES:
        return read_truth(path)
    scene = open_scene(text)
    season = make_seasons(scene.reflectance, scene.wavelengths, seed=seed)
    times = tuple(str(date)[:10] for date in season.dates)
    nm = np.asarray(season.wavelengths, np.float64)
    return Truth(text, season.values, np.ones(season.values.shape, bool), nm, None, times, season.days)


def middle_of(truth: Truth, side: int | None, multiple: int) -> Truth:
    """The middle `side` rows and columns, cut to a multiple where there is room; None: all of it."""
    if side is None:
        return truth
    rows, cols = (_middle(length, side, multiple) for length in truth.values.shape[2:])
    values = np.ascontiguousarray(truth.values[:, :, rows, cols])
    return replace(truth, values=values, valid=np.ascontiguousarray(truth.valid[:, :, rows, cols]))


def _middle(length: int, side: int, multiple: int) -> slice:
    side = min(length, max(side // multiple, 1) * multiple)
    start = (length - side) // 2
    return slice(start, start + side)
