"""RPB: the rational polynomials that say where on Earth a raw image's pixels lie, read and checked.

    line = line_scale · P_n(φ, λ, h) / P_d(φ, λ, h) + line_offset, the same for the sample

with latitude, longitude and height moved and scaled to about −1 … 1. GDAL takes a cut file for none at all
and a NaN for a number, both without a word; hence this reader.

Source: NIMA STDI-0002, RPC00B, for the polynomials' order of terms.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rasterio.rpc import RPC

from stsfusion.ingest.files import read_text
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.refusal import DeliveryError

__all__ = ["Rational", "check_rational", "read_rpb"]

Array = NDArray[np.float64]

_ENTRY = re.compile(r"(\w+)[ \t]*=\s*(\([^()]*\)|[^;()=\n]*?)\s*;", re.ASCII)
_SCALARS = {
    "line_offset": "lineOffset", "sample_offset": "sampOffset", "lat_offset": "latOffset",
    "lon_offset": "longOffset", "height_offset": "heightOffset", "line_scale": "lineScale",
    "sample_scale": "sampScale", "lat_scale": "latScale", "lon_scale": "longScale",
    "height_scale": "heightScale",
}  # fmt: skip
_POLYNOMIALS = {
    "line_over": "lineNumCoef", "line_under": "lineDenCoef",
    "sample_over": "sampNumCoef", "sample_under": "sampDenCoef",
}  # fmt: skip

_STEPS = 12
_CLOSE = 1e-7
"""Steps of the inverse at most, and the rest of a pixel at which it is done."""


@dataclass(frozen=True)
class Rational:
    """Where a pixel looks; (0, 0) is the centre of the first one, as GDAL takes it."""

    line_offset: float
    """Pixels."""

    sample_offset: float
    """Pixels."""

    lat_offset: float
    """Degrees."""

    lon_offset: float
    """Degrees."""

    height_offset: float
    """Metres above the ellipsoid."""

    line_scale: float
    """Pixels."""

    sample_scale: float
    """Pixels."""

    lat_scale: float
    """Degrees."""

    lon_scale: float
    """Degrees."""

    height_scale: float
    """Metres."""

    line_over: tuple[float, ...]
    """(20,) numerator of the line."""

    line_under: tuple[float, ...]
    """(20,) denominator of the line, 1 first."""

    sample_over: tuple[float, ...]
    """(20,) numerator of the sample."""

    sample_under: tuple[float, ...]
    """(20,) denominator of the sample, 1 first."""

    def pixel(self, lon: ArrayLike, lat: ArrayLike, height: ArrayLike) -> tuple[Array, Array]:
        """Sample and line that see these places (degrees, metres above the ellipsoid)."""
        terms = _terms(
            (np.asarray(lon, dtype=float) - self.lon_offset) / self.lon_scale,
            (np.asarray(lat, dtype=float) - self.lat_offset) / self.lat_scale,
            (np.asarray(height, dtype=float) - self.height_offset) / self.height_scale,
        )
        over, under = (np.tensordot(c, terms, 1) for c in (self.sample_over, self.sample_under))
        line_over, line_under = (np.tensordot(c, terms, 1) for c in (self.line_over, self.line_under))
        sample = self.sample_scale * over / under + self.sample_offset
        return sample, self.line_scale * line_over / line_under + self.line_offset

    def ground(self, sample: ArrayLike, line: ArrayLike, height: float) -> tuple[Array, Array]:
        """Longitude and latitude, degrees, that these pixels see at one height, by Newton's steps.

        Raises
        ------
        DeliveryError
            When the polynomials cannot be turned round.
        """
        sample, line = np.broadcast_arrays(np.asarray(sample, dtype=float), np.asarray(line, dtype=float))
        lon, lat = np.full(sample.shape, self.lon_offset), np.full(sample.shape, self.lat_offset)
        du, dv = 1e-6 * self.lon_scale, 1e-6 * self.lat_scale
        for _ in range(_STEPS):
            here = np.stack(self.pixel(lon, lat, height))
            miss = np.stack([sample, line]) - here
            if not np.isfinite(miss).all():
                break
            if np.abs(miss).max(initial=0.0) < _CLOSE:
                return lon, lat
            east = (np.stack(self.pixel(lon + du, lat, height)) - here) / du
            north = (np.stack(self.pixel(lon, lat + dv, height)) - here) / dv
            turn = east[0] * north[1] - east[1] * north[0]
            if not np.all(turn):
                break
            lon = lon + (miss[0] * north[1] - miss[1] * north[0]) / turn
            lat = lat + (east[0] * miss[1] - east[1] * miss[0]) / turn
        raise DeliveryError("RPC", expected="a place on the ground for every pixel", got="none")

    def rpc(self) -> RPC:
        """The same as GDAL's warp takes it."""
        return RPC(
            height_off=self.height_offset, height_scale=self.height_scale,
            lat_off=self.lat_offset, lat_scale=self.lat_scale,
            long_off=self.lon_offset, long_scale=self.lon_scale,
            line_off=self.line_offset, line_scale=self.line_scale,
            samp_off=self.sample_offset, samp_scale=self.sample_scale,
            line_num_coeff=list(self.line_over), line_den_coeff=list(self.line_under),
            samp_num_coeff=list(self.sample_over), samp_den_coeff=list(self.sample_under),
        )  # fmt: skip


def _terms(u: Array, v: Array, h: Array) -> Array:
    """(20, …) products of longitude u, latitude v and height h, in the order of RPC00B."""
    u, v, h = np.broadcast_arrays(u, v, h)
    return np.stack([
        np.ones_like(u), u, v, h, u * v, u * h, v * h, u * u, v * v, h * h, u * v * h,
        u**3, u * v * v, u * h * h, u * u * v, v**3, v * h * h, u * u * h, v * v * h, h**3,
    ])  # fmt: skip


def read_rpb(path: str | Path, limits: Limits | None = None) -> Rational:
    """Read an RPB file.

    Raises
    ------
    DeliveryError
        When it is cut, lacks a field, holds anything but finite numbers, or places that are none.
    """
    text = read_text(path, limits or Limits())
    body, end, rest = text.partition("END_GROUP")
    if not end or "BEGIN_GROUP" not in body or not re.fullmatch(r"\s*=\s*IMAGE\s*;?\s*END\s*;\s*", rest):
        raise DeliveryError(
            f"file {path}",
            expected="an RPB file that ends in 'END;'",
            got="a cut or another one",
            mend="Fetch the delivery again.",
        )
    entries: dict[str, str] = {}
    for name, value in _ENTRY.findall(body):
        if name in entries:
            raise DeliveryError(f"file {path}: {name}", expected="each field once", got="it again")
        entries[name] = value
    if (kind := entries.get("SpecId", "").strip("\"' ")) != "RPC00B":
        raise DeliveryError(f"file {path}: SpecId", expected="RPC00B", got=repr(kind))
    scalars = {own: _numbers(path, entries, name, 1)[0] for own, name in _SCALARS.items()}
    polynomials = {own: _numbers(path, entries, name, 20) for own, name in _POLYNOMIALS.items()}
    found = Rational(**scalars, **polynomials)  # type: ignore[arg-type]
    check_rational(path, found)
    return found


def _numbers(path: str | Path, entries: dict[str, str], name: str, count: int) -> tuple[float, ...]:
    words = entries.get(name, "").strip("() \t\r\n").split(",")
    try:
        values = tuple(float(word) for word in words)
    except ValueError:
        values = ()
    if len(values) != count or not all(math.isfinite(value) for value in values):
        got = f"{len(values)}" if len(values) != count else "one that is not finite"
        raise DeliveryError(f"file {path}: {name}", expected=f"{count} finite numbers", got=got)
    return values


def check_rational(path: str | Path, found: Rational) -> None:
    """Refuse scales that are not above zero, places not on Earth, denominators that do not begin with one."""
    scales = (found.line_scale, found.sample_scale, found.lat_scale, found.lon_scale, found.height_scale)
    faults = (
        (min(scales) <= 0, "scales above zero", f"{min(scales)}"),
        (abs(found.lat_offset) > 90 or found.lat_scale > 90, "a latitude", f"{found.lat_offset}"),
        (not -180 <= found.lon_offset <= 360 or found.lon_scale > 180, "a longitude", f"{found.lon_offset}"),
        (abs(found.height_offset) > 1e4, "a height on Earth", f"{found.height_offset} m"),
        (found.line_under[0] != 1 or found.sample_under[0] != 1, "denominators that begin with 1", "others"),
    )
    for wrong, expected, got in faults:
        if wrong:
            raise DeliveryError(f"file {path}", expected=expected, got=got)
