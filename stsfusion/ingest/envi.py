"""ENVI images: the header read by us, the pixels by numpy; no driver guesses what the file might be."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stsfusion.ingest.envimap import map_place
from stsfusion.ingest.files import check_digest, local_file, read_text
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.rpb import Rational
from stsfusion.ingest.rpcinfo import read_rpc_info
from stsfusion.window import Interval

__all__ = ["DATA", "EnviHeader", "EnviImage", "read_header"]

_SCALES = (1e-9, 1e9)
"""Between these lies what divides stored reflectance."""

DATA = (".dat", ".img", ".bsq", ".bil", ".bip", ".raw", "")
"""What stands for '.hdr' in the names of pixels."""

_KINDS = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4"}
_ORDERS = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (2, 0, 1)}
"""Where band, row and column stand among the stored axes."""

_ENTRY = re.compile(r"^[ \t]*([^=\n{}]+?)[ \t]*=[ \t]*(\{[^{}]*\}|[^{}\n]*)", re.MULTILINE)
_MICROMETRES = 100.0
"""Wavelengths whose largest stays below this are micrometres, whatever the header says or does not."""


@dataclass(frozen=True)
class EnviHeader:
    """What an ENVI header says."""

    path: Path
    """The header."""

    data: Path
    """The file with the pixels."""

    shape: tuple[int, int, int]
    """(band, row, column)."""

    kind: str
    """Numpy's name of the stored numbers, with their byte order."""

    interleave: str
    """'bsq', 'bil' or 'bip'."""

    start: int
    """Bytes before the first pixel."""

    wavelength: tuple[float, ...]
    """(band,) nm; empty where it says nothing."""

    fwhm: tuple[float, ...]
    """(band,) nm; empty where it says nothing."""

    good: tuple[bool, ...]
    """(band,) the 'bbl'; empty where it says nothing."""

    scale: float | None
    """What stored reflectance is multiplied by: one over the 'reflectance scale factor'."""

    ignore: float | None
    """The number that stands for no data."""

    crs: str | None
    """Reference system as well-known text; None: raw, or nowhere."""

    transform: tuple[float, float, float, float, float, float] | None
    """Pixel corners to map, as in a Layer."""

    rational: Rational | None
    """Where the pixels of a raw image look; None: it has no RPC."""

    texts: Mapping[str, str] = field(repr=False)
    """Every entry, word for word, by its name in small letters."""


@dataclass(frozen=True)
class EnviImage:
    """The pixels behind a header."""

    header: EnviHeader
    """Their layout."""

    sha256: str | None = None
    """What was recorded for the file with the pixels."""

    def __post_init__(self) -> None:
        check_digest(self.header.data, self.sha256)

    @property
    def path(self) -> Path:
        """The file with the pixels."""
        return self.header.data

    @property
    def shape(self) -> tuple[int, int, int]:
        """(band, y, x)."""
        return self.header.shape

    @property
    def kind(self) -> str:
        """Numpy's name of the stored numbers, in this machine's byte order."""
        return str(np.dtype(self.header.kind).newbyteorder("=").name)

    @property
    def crs(self) -> str | None:
        """Reference system as the header tells."""
        return self.header.crs

    @property
    def transform(self) -> tuple[float, float, float, float, float, float] | None:
        """Pixel corners to map; None: raw."""
        return self.header.transform

    def raw(self, band: int) -> tuple[int, int, int, str]:
        """First byte of a band, bytes from pixel to pixel and from row to row, and the order of bytes."""
        bands, rows, cols = self.header.shape
        size = np.dtype(self.header.kind).itemsize
        steps = {
            "bsq": (rows * cols * band, 1, cols),
            "bil": (cols * band, 1, cols * bands),
            "bip": (band, bands, cols * bands),
        }
        first, pixel, row = steps[self.header.interleave]
        order = "MSB" if self.header.kind.startswith(">") else "LSB"
        return self.header.start + first * size, pixel * size, row * size, order

    def read(
        self, rows: Interval | None = None, cols: Interval | None = None, bands: Sequence[int] | None = None
    ) -> NDArray[Any]:
        """(band, y, x) stored numbers, in this machine's byte order; positions from 0, None: all."""
        head = self.header
        order = _ORDERS[head.interleave]
        stored = tuple(head.shape[order.index(axis)] for axis in range(3))
        pixels = np.memmap(local_file(head.data), head.kind, "r", head.start, stored).transpose(order)
        part = pixels[
            slice(None) if bands is None else list(bands),
            slice(*(rows or (None,))),
            slice(*(cols or (None,))),
        ]
        return np.array(part).astype(pixels.dtype.newbyteorder("="), copy=False)


def read_header(path: str | Path, limits: Limits | None = None) -> EnviHeader:
    """Read an ENVI header, and find the pixels that it belongs to.

    Raises
    ------
    DeliveryError
        For another kind of file, absent or impossible entries, or pixels of another size than it says.
    """
    limits = limits or Limits()
    found = local_file(path)
    text = read_text(found, limits)
    if not text.lstrip().startswith("ENVI"):
        raise DeliveryError(f"file {path}", expected="an ENVI header", got=repr(text[:20]))
    texts = {name.lower(): value.strip().strip("{}").strip() for name, value in _ENTRY.findall(text)}
    form = texts.get("file type", "")
    if "classification" in form.lower():
        raise DeliveryError(f"file {path}: file type", expected="an image of measured numbers", got=form[:40])
    shape = tuple(_whole(found, texts, name) for name in ("bands", "lines", "samples"))
    start = _whole(found, texts, "header offset", 0)
    kind, interleave = _kind(found, texts)
    if min(shape) < 1 or max(shape[1:]) > limits.side or math.prod(shape) > limits.samples:
        raise DeliveryError(f"file {path}", expected=f"at most {limits.samples} samples", got=f"{shape}")
    data = _pixels(found, start + math.prod(shape) * np.dtype(kind).itemsize)
    wavelength, unit = _column(found, texts, "wavelength", shape[0]), texts.get("wavelength units", "")
    to_nm = (
        1000.0 if wavelength and (max(wavelength) < _MICROMETRES or unit.lower().startswith("mic")) else 1.0
    )
    factor = _factor(found, texts)
    crs, transform = map_place(found, texts)
    return EnviHeader(
        found, data, (shape[0], shape[1], shape[2]), kind, interleave, start,
        tuple(round(value * to_nm, 6) for value in wavelength),
        tuple(round(value * to_nm, 6) for value in _column(found, texts, "fwhm", shape[0])),
        tuple(value > 0 for value in _column(found, texts, "bbl", shape[0])),
        None if factor is None else 1 / factor,
        _number(found, texts, "data ignore value"),
        crs, transform, read_rpc_info(found, texts["rpc info"]) if "rpc info" in texts else None, texts,
    )  # fmt: skip


def _whole(path: Path, texts: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = texts.get(name)
    if text is None and default is not None:
        return default
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 13):
        raise DeliveryError(f"file {path}: {name}", expected="a whole number", got=repr(text)[:40])
    return int(text)


def _number(path: Path, texts: Mapping[str, str], name: str) -> float | None:
    values = _column(path, texts, name, 1)
    return values[0] if values else None


def _factor(path: Path, texts: Mapping[str, str]) -> float | None:
    """What divides stored reflectance; None where the header does not say."""
    name = "reflectance scale factor"
    factor = _number(path, texts, name)
    if factor is not None and not _SCALES[0] <= factor <= _SCALES[1]:
        raise DeliveryError(
            f"file {path}: {name}",
            expected="what stored reflectance is divided by, as 10000",
            got=f"{factor:g}",
        )
    return factor


def _column(path: Path, texts: Mapping[str, str], name: str, count: int) -> tuple[float, ...]:
    """Finite numbers, one a band; none where the entry is absent."""
    if name not in texts:
        return ()
    try:
        values = tuple(float(word) for word in re.split(r"[,\s]+", texts[name].strip(", \r\n\t")))
    except ValueError:
        values = (math.nan,)
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise DeliveryError(
            f"file {path}: {name}", expected=f"{count} finite numbers", got=f"{len(values)} values"
        )
    return values


def _kind(path: Path, texts: Mapping[str, str]) -> tuple[str, str]:
    code, order = _whole(path, texts, "data type"), _whole(path, texts, "byte order", 0)
    interleave = texts.get("interleave", "bsq").lower()
    if code not in _KINDS or order not in (0, 1) or interleave not in _ORDERS:
        raise DeliveryError(
            f"file {path}",
            expected="plain numbers in BSQ, BIL or BIP",
            got=f"data type {code}, byte order {order}, {interleave[:20]}",
        )
    return f"{'<>'[order]}{_KINDS[code]}", interleave


def _pixels(header: Path, size: int) -> Path:
    """The file beside the header that has exactly so many bytes."""
    stem = header.with_suffix("")
    names = [stem.with_name(stem.name + suffix) for suffix in DATA]
    for path in names:
        if path.is_file() and path != header:
            found = local_file(path)
            if found.stat().st_size != size:
                raise DeliveryError(
                    f"file {found}",
                    expected=f"{size} bytes, as {header.name} says",
                    got=f"{found.stat().st_size}",
                    mend="It is cut, or has another header.",
                )
            return found
    raise DeliveryError(f"file {header}", expected=f"pixels beside it, as {names[0].name}", got="none")
