"""The text files that come with AHSI images: gains, and centres with widths, one band a line."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from stsfusion.ingest.files import read_text
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.refusal import DeliveryError

__all__ = ["check_centres", "read_gains", "read_wavelengths"]

_FAR = 5.0
"""Nanometres by which a delivery's centre may lie from the sensor's in the catalog: the catalog's own may be
wrong by 3, where they were inferred; bands lie 8.4 or more apart, and nearly the next one is wrong."""

Pairs = tuple[tuple[float, ...], tuple[float, ...]]


def read_gains(path: str | Path, bands: int, limits: Limits | None = None) -> Pairs:
    """(band,) gains and offsets, W m⁻² sr⁻¹ µm⁻¹; a file of one column has no offsets.

    Raises
    ------
    DeliveryError
        When there is not one line a band: the file is of another product, and must never be stretched to fit.
    """
    rows = _rows(path, bands, limits or Limits())
    gains = tuple(row[0] for row in rows)
    if min(gains) <= 0:
        raise DeliveryError(f"file {path}", expected="gains above zero", got=f"{min(gains)}")
    return gains, tuple(row[1] if len(row) > 1 else 0.0 for row in rows)


def read_wavelengths(path: str | Path, bands: int, limits: Limits | None = None) -> Pairs:
    """(band,) centres and full widths at half maximum, nm."""
    rows = _rows(path, bands, limits or Limits())
    if any(len(row) < 2 or not 200 < row[0] < 20_000 or not 0 < row[1] < 2000 for row in rows):
        raise DeliveryError(
            f"file {path}", expected="centre and width in nanometres on each line", got="others"
        )
    return tuple(row[0] for row in rows), tuple(row[1] for row in rows)


def check_centres(path: Path, bands: Sequence[str], centres: Sequence[float], known: Sequence[float]) -> None:
    """Hold a detector's centres against the sensor's.

    Parameters
    ----------
    centres, known
        (band,) nm, as delivered and as catalogued.

    Raises
    ------
    DeliveryError
        With the first band that lies elsewhere, or not above the one before it.
    """
    for i, (name, centre, right) in enumerate(zip(bands, centres, known, strict=True)):
        if abs(centre - right) > _FAR:
            raise DeliveryError(
                f"file {path}: band {name}",
                expected=f"a centre within {_FAR:g} nm of {right:g} nm",
                got=f"{centre:g} nm",
                mend="The file is of another instrument, or its lines are in another order.",
            )
        if i and centre <= centres[i - 1]:
            raise DeliveryError(
                f"file {path}: band {name}",
                expected=f"a centre above {centres[i - 1]:g} nm, that of the band before it",
                got=f"{centre:g} nm",
            )


def _rows(path: str | Path, bands: int, limits: Limits) -> list[tuple[float, ...]]:
    """One or two finite numbers a line, with commas or spaces between."""
    lines = [line.strip() for line in read_text(path, limits).splitlines()]
    rows = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            row = tuple(float(word) for word in re.split(r"\s*[,;\s]\s*", line.rstrip(",; ")))
        except ValueError:
            row = ()
        if not 1 <= len(row) <= 2 or not all(math.isfinite(value) for value in row) or "_" in line:
            raise DeliveryError(
                f"file {path}, line {number}", expected="one or two numbers", got=repr(line[:60])
            )
        rows.append(row)
    if len(rows) != bands:
        raise DeliveryError(
            f"file {path}",
            expected=f"{bands} lines, one a band",
            got=f"{len(rows)}",
            mend="It belongs to another product, or was cut.",
        )
    return rows
