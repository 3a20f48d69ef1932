"""Footprint: the corners of an image that lies on a map, and whether they are places on Earth at all."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform as to_map

from stsfusion.ingest.refusal import DeliveryError

__all__ = ["footprint"]


def footprint(
    where: str, crs: str, transform: tuple[float, float, float, float, float, float], shape: Sequence[int]
) -> tuple[tuple[float, float], ...]:
    """(longitude, latitude) of the four outer corners, longitudes from -180 to 180.

    Parameters
    ----------
    where
        How messages call the image.
    crs, transform
        Reference system, and (a, b, c, d, e, f) of x = a·column + b·row + c, y = d·column + e·row + f.
    shape
        Rows and columns.

    Raises
    ------
    DeliveryError
        When pixels have no size, the system is none of the Earth, or a corner lies beyond a pole.
    """
    a, b, c, d, e, f = transform
    if not all(map(math.isfinite, transform)) or a * e == b * d:
        raise DeliveryError(where, expected="pixels with a place and a size", got=f"transform {transform}")
    corners = [(0, 0), (shape[1], 0), (shape[1], shape[0]), (0, shape[0])]
    xs, ys = [a * x + b * y + c for x, y in corners], [d * x + e * y + f for x, y in corners]
    try:
        lon, lat = to_map(CRS.from_user_input(crs), CRS.from_epsg(4326), xs, ys)
    except (CPLE_BaseError, CRSError) as fault:
        raise DeliveryError(
            where, expected="a reference system of the Earth", got=str(fault).splitlines()[0][:200]
        ) from None
    there = list(zip(lon, lat, strict=True))
    astray = [(x, y) for x, y in there if not (math.isfinite(x) and abs(x) <= 360 and abs(y) <= 90)]
    if astray:
        raise DeliveryError(
            where,
            expected="a place on Earth",
            got="longitude {:.6g}, latitude {:.6g}".format(*astray[0]),
            mend="Longitude and latitude may be exchanged, or the reference system may be another one.",
        )
    return tuple((x if -180 <= x <= 180 else (x + 180) % 360 - 180, y) for x, y in there)
