"""What a sensor's catalog file may say: bands in groups, numbers in lists or in plain columns of text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from stsfusion.records import Record

__all__ = ["Gains", "Group", "Optics", "Package", "SensorFile", "Sources", "Tabled"]


def _numbers(value: object) -> object:
    """A column of text as numbers; tuples, because strict checking asks for them here."""
    if isinstance(value, str):
        return tuple(float(word) for word in value.split())
    return tuple(value) if isinstance(value, list) else value


def _words(value: object) -> object:
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(value) if isinstance(value, list) else value


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as fault:
        raise ValueError(f"a regular expression ({fault})") from None
    return text


Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Numbers = Annotated[tuple[Annotated[float, Field(allow_inf_nan=False)], ...], BeforeValidator(_numbers)]
Column = Positive | Numbers
"""One number for all bands of a group, or one for each."""
Words = Annotated[tuple[Text, ...], BeforeValidator(_words)]
Pattern = Annotated[str, Field(min_length=1, max_length=300), BeforeValidator(_pattern)]


class Tabled(Record):
    """One band's response on an even grid."""

    start: Positive
    """Wavelength of the first value, nm."""

    step: Positive = 1.0
    """Distance between values, nm."""

    values: Numbers
    """Relative response; zero outside the table."""


class Group(Record):
    """Bands that are described alike, in the product's order."""

    shape: Literal["gaussian", "box", "table"]
    """Of their responses: by centre and width, by limits, or by table."""

    names: Words | None = None
    """The bands' names; else `prefix` and a running number."""

    prefix: str = ""
    """Put before the running number, which starts with 1 and is padded with zeros."""

    wavelength: Numbers | None = None
    """(band,) centres, nm; a box has its own."""

    fwhm: Column | None = None
    """Full widths at half maximum, nm; a box has its own."""

    low: Numbers | None = None
    """(band,) lower limits of boxes, nm."""

    high: Numbers | None = None
    """(band,) upper limits of boxes, nm."""

    tables: dict[str, Tabled] = {}
    """The responses of tabled bands, by name."""

    noise: Column | None = None
    """Standard deviation, reflectance."""

    pixel: Column | None = None
    """Pixel of these bands, m, where it is not the sensor's."""

    flags: dict[str, Words] = {}
    """Bands, or stretches of bands as 'SW22..SW27', with something to know about."""

    @model_validator(mode="after")
    def _complete(self) -> Group:
        needs = ("low", "high") if self.shape == "box" else ("wavelength", "fwhm")
        if absent := [name for name in needs if getattr(self, name) is None]:
            raise ValueError(f"'{absent[0]}' for bands of shape {self.shape}")
        columns = [getattr(self, name) for name in (*needs, "noise", "pixel")]
        lengths = {len(column) for column in columns if isinstance(column, tuple)}
        lengths |= {len(self.names)} if self.names is not None else set()
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(f"one number for each band in every list, here {sorted(lengths)} numbers")
        if (self.shape == "table") != bool(self.tables) or (
            self.tables and set(self.tables) != set(self.all)
        ):
            raise ValueError("'tables' for bands of shape table, one for each, and for no others")
        return self

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.names or self.low or self.wavelength or ())

    @property
    def all(self) -> tuple[str, ...]:
        """The bands' names."""
        digits = len(str(self.count))
        return self.names or tuple(f"{self.prefix}{i:0{digits}d}" for i in range(1, self.count + 1))

    def column(self, name: str) -> tuple[float | None, ...]:
        """One figure for each band."""
        value = getattr(self, name)
        return value if isinstance(value, tuple) else (value,) * self.count


class Optics(Record):
    """How sharp and how clean the images are."""

    mtf: Annotated[float, Field(gt=0, lt=1)]
    """Modulation at the Nyquist frequency of its own pixels, optics and detector together."""

    snr: Positive | None = None
    """Typical signal-to-noise ratio as specified; None: not published. Bands carry their own noise."""


class Gains(Record):
    """Gains that are published by year, because deliveries hold none: radiance = gain · count."""

    source: Text
    """Where they come from."""

    years: dict[Annotated[str, Field(pattern=r"^\d{4}$")], Numbers] = Field(min_length=1)
    """(band,) gains in the sensor's order of bands, W m⁻² sr⁻¹ µm⁻¹ per count, by year of acquisition."""


class Package(Record):
    """How deliveries look; patterns are searched without regard to case."""

    products: tuple[Pattern, ...]
    """Regular expressions of product names, matched from their start."""

    example: str = ""
    """A real product's name, shown where deliveries are looked for and none is found."""

    rasters: dict[str, Pattern] = {}
    """Regular expression of the raster file that holds each group of bands."""

    holds: dict[str, Words] = {}
    """Bands of each raster in the file's order, one by one or as 'VN01..VN76'; a raster not named has all."""

    metadata: Pattern = r"\.xml$"
    """Regular expression of the XML file that describes the product."""

    gains: dict[str, Pattern] = {}
    """Regular expression of the text file with each raster's gains."""

    wavelengths: dict[str, Pattern] = {}
    """Regular expression of the text file with each raster's centres and widths."""

    saturation: Annotated[int, Field(gt=0)] | None = None
    """Count from which on a pixel is saturated; None: not known."""

    published: Gains | None = None
    """Gains by year; None: none are public."""

    def held(self, raster: str, names: Sequence[str]) -> tuple[str, ...]:
        """The bands of a raster, in its file's order, out of all `names` of the sensor."""
        found: list[str] = []
        for word in self.holds.get(raster, tuple(names)):
            first, dots, last = word.partition("..")
            start = names.index(first)
            found += names[start : names.index(last) + 1] if dots else [first]
        return tuple(found)


class Sources(Record):
    """Where each figure of the file comes from."""

    bands: Text
    """Of wavelengths, widths and responses."""

    pixel: Text
    """Of the pixel."""

    noise: Text
    """Of the noise."""

    optics: Text
    """Of the optics."""

    package: Text
    """Of the package's patterns."""


class SensorFile(Record):
    """One instrument."""

    title: Text
    """Name in words."""

    sources: Sources
    """Where each figure comes from."""

    pixel: Positive
    """Side of a pixel on the ground, m."""

    optics: Optics
    """How sharp and how clean the images are."""

    groups: tuple[Group, ...] = Field(min_length=1)
    """Bands, in the product's order."""

    dropped: Words = ()
    """Flags whose bands are left out unless asked for."""

    package: Package | None = None
    """How deliveries look; None: none are known."""
