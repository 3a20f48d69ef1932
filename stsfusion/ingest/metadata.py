"""Facts: what the XML of a ZY1 or GF product says, whatever generation wrote it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path

from stsfusion.ingest.limits import Limits
from stsfusion.ingest.markup import Markup, read_markup
from stsfusion.ingest.refusal import DeliveryError

__all__ = ["Facts", "moment", "read_facts"]

_MOMENT = re.compile(
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})[T ](\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6})\d*)?\s*"
    r"(Z|UTC|[+-]\d{2}:?\d{2})?"
)
_UNKNOWN_CLOUD = 99
_CORNERS = ("TopLeft", "TopRight", "BottomRight", "BottomLeft")


@dataclass(frozen=True)
class Facts:
    """The fields of a product's metadata that matter, as written; angles in degrees."""

    path: Path
    """The file."""

    platform: str
    """Satellite, as 'ZY1E'."""

    instrument: str
    """As 'AHSI'."""

    product: str
    """Number of the product; '' where it is not said."""

    level: str
    """As 'LEVEL1A'."""

    taken: datetime
    """Middle of the acquisition, or its begin where that alone is said; its zone only if one is written."""

    span: tuple[datetime, datetime] | None
    """Begin and end of the acquisition, as it; None where they are not said, or do not hold it."""

    produced: datetime | None
    """When the delivery was made."""

    shape: tuple[int, int] | None
    """(rows, columns)."""

    pixel: float | None
    """Side of a pixel, m."""

    sun: tuple[float | None, float | None]
    """'SolarZenith', which some products mean as elevation, and the azimuth."""

    view: tuple[float | None, float | None]
    """Zenith and azimuth of the satellite."""

    cloud: float | None
    """Percent; None: unknown."""

    corners: tuple[tuple[float, float], ...]
    """(longitude, latitude) of the four corners, round the scene."""

    texts: tuple[tuple[str, str], ...]
    """Every field, word for word."""

    @property
    def centre(self) -> tuple[float, float]:
        """(longitude, latitude) in the middle of the corners, on either side of the date line."""
        lons, lats = zip(*self.corners, strict=True)
        turns = [(lon - lons[0] + 180) % 360 - 180 for lon in lons]
        return (lons[0] + sum(turns) / 4 + 180) % 360 - 180, sum(lats) / 4


def read_facts(path: str | Path, limits: Limits | None = None) -> Facts:
    """Read a product's XML.

    Raises
    ------
    DeliveryError
        For another kind of XML, an absent field that nothing can replace, or a value that cannot be.
    """
    found = read_markup(path, limits)
    if found.root != "ProductMetaData":
        raise DeliveryError(
            f"file {path}",
            expected="<ProductMetaData>",
            got=f"<{found.root}>",
            mend="Older GF products with <MetaInfo> are not read.",
        )
    taken = moment(found.path, found.get("CenterTime", "StartTime", "ImagingStartTime"))
    return Facts(
        path=found.path,
        platform=_needed(found, "SatelliteID"),
        instrument=_needed(found, "SensorID"),
        product=found.get("ProductID") or "",
        level=found.get("ProductLevel", "Level") or "",
        taken=taken,
        span=_span(found, taken),
        produced=None if (text := found.get("ProduceTime")) is None else moment(found.path, text),
        shape=_shape(found),
        pixel=found.number("ImageGSD", "ImageGSDLine"),
        sun=(_angle(found, "SolarZenith", 0, 180), _angle(found, "SolarAzimuth", -360, 360)),
        view=(_angle(found, "SatelliteZenith", 0, 90), _angle(found, "SatelliteAzimuth", -360, 360)),
        cloud=_cloud(found),
        corners=tuple(_corner(found, name) for name in _CORNERS),
        texts=tuple((name, text) for name, texts in found.texts.items() for text in texts),
    )


def moment(path: Path, text: str | None) -> datetime:
    """A written time; its zone is set only when one stands behind it: 'Z', 'UTC', or as in '+08:00'."""
    parts = _MOMENT.fullmatch((text or "").strip())
    try:
        if parts is None:
            raise ValueError
        *numbers, fraction, zone = parts.groups()
        micro = int((fraction or "0").ljust(6, "0"))
        time = datetime(*(int(n) for n in numbers), micro, tzinfo=_zone(zone))  # type: ignore[misc, arg-type]
        return time if zone is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        got = "none" if text is None else repr(text[:40])
        raise DeliveryError(f"file {path}: time", expected="as in 2021-12-13 10:58:31", got=got) from None


def _zone(text: str | None) -> tzinfo | None:
    """What stands behind a time."""
    if text is None or text[0] not in "+-":
        return None if text is None else UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    if minutes > 59:
        raise ValueError
    return timezone((1 if text[0] == "+" else -1) * timedelta(hours=hours, minutes=minutes))


def _span(found: Markup, taken: datetime) -> tuple[datetime, datetime] | None:
    """Begin and end, which nothing depends on: what is odd about them is left out."""
    try:
        start, end = (moment(found.path, found.get(name)) for name in ("StartTime", "EndTime"))
    except DeliveryError:
        return None
    alike = start.tzinfo == taken.tzinfo == end.tzinfo
    return (start, end) if alike and start <= taken <= end else None


def _needed(found: Markup, name: str) -> str:
    text = found.get(name)
    if text is None:
        raise DeliveryError(f"file {found.path}", expected=f"<{name}>", got="none")
    return text


def _angle(found: Markup, name: str, low: float, high: float) -> float | None:
    value = found.number(name)
    if value is not None and not low <= value <= high:
        raise DeliveryError(
            f"file {found.path}: {name}", expected=f"{low} to {high} degrees", got=f"{value:g}"
        )
    return value


def _cloud(found: Markup) -> float | None:
    """Percent; what is 99 or more, or below zero, means that nobody looked."""
    value = found.number("CloudPercent")
    return value if value is not None and 0 <= value < _UNKNOWN_CLOUD else None


def _shape(found: Markup) -> tuple[int, int] | None:
    rows = found.number("LinesInPixels", "HeightInPixels")
    cols = found.number("SamplesInPixels", "WidthInPixels")
    return None if rows is None or cols is None else (int(rows), int(cols))


def _corner(found: Markup, name: str) -> tuple[float, float]:
    lat, lon = found.number(f"{name}Latitude"), found.number(f"{name}Longitude")
    if lat is None or lon is None:
        raise DeliveryError(
            f"file {found.path}", expected=f"<{name}Latitude> and <{name}Longitude>", got="none"
        )
    if not (-90 <= lat <= 90 and -180 <= lon <= 360):
        raise DeliveryError(
            f"file {found.path}: {name}",
            expected="degrees",
            got=f"{lon:g}, {lat:g}",
            mend="Longitude and latitude may be exchanged.",
        )
    return (lon + 180) % 360 - 180, lat
