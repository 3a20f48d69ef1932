"""Overlay: a virtual dataset of GDAL's over one checked file: bands, where they lie, what counts as fill.

GDAL reads the file through it and looks at nothing else: neither at what lies beside the file on disk, nor at
what the file says of its own place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from xml.sax.saxutils import escape

import numpy as np

from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.rpb import Rational

__all__ = ["Image", "Scarred", "overlay"]

_NAMES = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32",
          "float32": "Float32", "float64": "Float64"}  # fmt: skip


class Image(Protocol):
    """An image that was found sound, whatever its format."""

    @property
    def path(self) -> Path:
        """The file with the pixels."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(band, y, x)."""

    @property
    def kind(self) -> str:
        """Numpy's name of the stored numbers, in this machine's byte order."""

    @property
    def crs(self) -> str | None:
        """Reference system, where the image says one."""

    @property
    def transform(self) -> tuple[float, float, float, float, float, float] | None:
        """Pixel corners to map, as in a Layer; None: raw."""

    def raw(self, band: int) -> tuple[int, int, int, str] | None:
        """First byte, bytes from pixel to pixel and from row to row, 'LSB' or 'MSB'; None: GDAL's format."""


@dataclass(frozen=True)
class Scarred:
    """An image some lines of which count as fill, whatever is stored there."""

    whole: Image
    """As it was delivered."""

    scars: Mapping[int, tuple[tuple[int, ...], tuple[int, ...]]]
    """Rows and columns by band, from 0."""

    @property
    def path(self) -> Path:
        """The file with the pixels."""
        return self.whole.path

    @property
    def shape(self) -> tuple[int, int, int]:
        """(band, y, x)."""
        return self.whole.shape

    @property
    def kind(self) -> str:
        """Numpy's name of the stored numbers."""
        return self.whole.kind

    @property
    def crs(self) -> str | None:
        """Reference system, where the image says one."""
        return self.whole.crs

    @property
    def transform(self) -> tuple[float, float, float, float, float, float] | None:
        """Pixel corners to map; None: raw."""
        return self.whole.transform

    def raw(self, band: int) -> tuple[int, int, int, str] | None:
        """How the pixels of a band lie; None: GDAL's format."""
        return self.whole.raw(band)


def overlay(image: Image, rational: Rational | None, above: int | None, fill: float) -> str:
    """The virtual dataset, in GDAL's XML.

    Parameters
    ----------
    rational
        Where the image lies; None: as it says itself.
    above
        The count from which on a pixel counts as fill; None: none does.
    fill
        The stored number that stands for no data.
    """
    bands, rows, cols = image.shape
    parts = "".join(_band(image, band, above, fill) for band in range(bands))
    size = f'rasterXSize="{cols}" rasterYSize="{rows}"'
    return f"<VRTDataset {size}>{_place(image, rational)}{parts}</VRTDataset>"


def _band(image: Image, band: int, above: int | None, fill: float) -> str:
    head = f'<VRTRasterBand dataType="{_NAMES[image.kind]}" band="{band + 1}"'
    source = f'<SourceFilename relativeToVRT="0">{escape(str(image.path.resolve()))}</SourceFilename>'
    layout = image.raw(band)
    if layout is None:
        _, rows, cols = image.shape
        source = f"{source}<SourceBand>{band + 1}</SourceBand>"
        parts = [_source(source, (0, 0, cols, rows), _lowered(image.kind, above, fill))]
        blank = f"<ScaleOffset>{fill:g}</ScaleOffset><ScaleRatio>0</ScaleRatio>"
        parts += [_source(source, place, blank) for place in _scars(image, band)]
        return f"{head}>{''.join(parts)}</VRTRasterBand>"
    if above is not None or _scars(image, band):
        raise DeliveryError(f"file {image.path}", expected="counts in a GeoTIFF", got="a raw image")
    names = ("ImageOffset", "PixelOffset", "LineOffset", "ByteOrder")
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in zip(names, layout, strict=True))
    return f'{head} subClass="VRTRawRasterBand">{source}{inner}</VRTRasterBand>'


def _source(source: str, place: tuple[int, int, int, int], change: str) -> str:
    """Part of the file, laid where it lies; of two parts that overlap the later one stays."""
    left, top, cols, rows = place
    rectangle = f'xOff="{left}" yOff="{top}" xSize="{cols}" ySize="{rows}"'
    inner = f"<SrcRect {rectangle}/><DstRect {rectangle}/>{change}"
    return f"<ComplexSource>{source}{inner}</ComplexSource>"


def _scars(image: Image, band: int) -> list[tuple[int, int, int, int]]:
    """First column and row, columns and rows of what counts as fill whatever is stored."""
    if not isinstance(image, Scarred):
        return []
    _, rows, cols = image.shape
    across, down = image.scars.get(band, ((), ()))
    return [(0, row, cols, 1) for row in across] + [(col, 0, 1, rows) for col in down]


def _lowered(kind: str, above: int | None, fill: float) -> str:
    """The table that turns counts from `above` on into fill and leaves the others alone."""
    if above is None:
        return ""
    if np.dtype(kind).kind not in "iu":
        raise DeliveryError("saturation", expected="whole numbers", got=kind)
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    if above > high:
        return ""
    return f"<LUT>{low}:{low},{above - 1}:{above - 1},{above}:{fill:g},{high}:{fill:g}</LUT>"


def _place(image: Image, rational: Rational | None) -> str:
    """Where the image lies."""
    if rational is not None:
        fields = rational.rpc().to_gdal().items()
        inner = "".join(f'<MDI key="{key}">{escape(str(value))}</MDI>' for key, value in fields)
        return f'<Metadata domain="RPC">{inner}</Metadata>'
    if image.transform is None or image.crs is None:
        raise DeliveryError(f"file {image.path}", expected="an RPC or a reference system", got="neither")
    a, b, c, d, e, f = image.transform
    numbers = ", ".join(repr(float(value)) for value in (c, a, b, f, d, e))
    crs = f'<SRS dataAxisToSRSAxisMapping="1,2">{escape(image.crs)}</SRS>'
    return f"{crs}<GeoTransform>{numbers}</GeoTransform>"
