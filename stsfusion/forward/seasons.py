"""Seasons: one real hyperspectral scene in, a simulated multi-date truth out.

Every pixel keeps what is its own and is dressed anew for each date:

    ρ(t) = i(t) · b · [ o ρₒ + (1 − o) ( g(t) G(t) + d(t) D + (1 − g(t) − d(t)) S(t) ) + c(t) δ ]

    g, d     green and dry cover: the field's crop calendar and shift, the pixel's own vigour, events
    G, S, D  the pixel's mixture of the scene's green endmembers (chlorophyll and water by vigour) and of
             its soils (moisture by date and field); straw
    o, ρₒ    what no season changes (roofs, roads, water), as in the scene
    b, δ     the scene's own brightness within the field, and the fine detail endmembers leave out
    i, c     illumination; contrast of the detail, which shrinks with the signal where it darkens

Real: fields, materials, fine detail. Simulated: everything that changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from stsfusion.errors import CubeError
from stsfusion.forward.calendar import ARABLE, CROPS, Cover
from stsfusion.forward.events import Event, apply, choose
from stsfusion.forward.ground import Ground, read_ground
from stsfusion.forward.materials import dry_plants, dryness_of_leaves, paleness, roof, wetness
from stsfusion.forward.noise import smooth
from stsfusion.quality.metrics import SAM

__all__ = ["DATES", "Season", "make_seasons"]

Array = NDArray[np.float32]

DATES = ("2021-12-13", "2022-01-20", "2022-02-25", "2022-03-24", "2022-04-27", "2022-05-23", "2022-06-25")
"""Seven dates from winter to summer, those of the long-time-series study."""


@dataclass(frozen=True, eq=False)
class Season:
    """A simulated multi-date truth."""

    values: Array
    """(time, band, y, x) reflectance, 0 to 1."""

    wavelengths: NDArray[np.float64]
    """(band,) nm, in the scene's order."""

    dates: NDArray[np.datetime64]
    """(time,) days."""

    events: tuple[Event, ...]
    """What happened abruptly."""

    crops: NDArray[np.str_]
    """(y, x) the crop of each pixel's field."""

    description: str
    """How it was made; begins with 'simulated'."""

    @property
    def days(self) -> NDArray[np.float64]:
        """(time,) days since the first date."""
        return np.asarray((self.dates - self.dates[0]) / np.timedelta64(1, "D"), dtype=np.float64)

    @cached_property
    def hardness(self) -> dict[int, float]:
        """Spectral angle, degrees, between every second date and the straight line through its neighbours.

        By index of the date (1, 3, 5 of 7): what interpolation in time misses even when it is given the true
        fine images of the other dates.
        """
        angles = {}
        for date in range(1, len(self.values) - 1, 2):
            before, now, after = self.days[date - 1 : date + 2]
            part = np.float32((now - before) / (after - before))
            line = (1 - part) * self.values[date - 1] + part * self.values[date + 1]
            angles[date] = SAM(torch.from_numpy(line), torch.from_numpy(self.values[date])) or 0.0
        return angles


def make_seasons(
    scene: Array,
    wavelengths: NDArray[np.float64],
    dates: Sequence[str] = DATES,
    *,
    seed: int = 0,
    events: int = 6,
) -> Season:
    """A simulated series of a real scene, with crop calendars, weather and abrupt change.

    Parameters
    ----------
    scene
        (band, y, x) reflectance of one date, finite.
    wavelengths
        (band,) nm, in any order.
    dates
        Rising, as ISO text. Calendars run from 1 December to the end of June; later dates stay as June left
        the fields.
    seed
        Of everything that is drawn.
    events
        Number of abrupt local changes.

    Raises
    ------
    CubeError
        When the scene has gaps, is too small or does not look like reflectance, or the dates do not rise.
    """
    stamps = _stamps(dates)
    _check(scene, wavelengths, stamps)
    ground = read_ground(scene.astype(np.float32), wavelengths, np.random.default_rng([seed, 0]))
    year = _Year.of(ground, stamps, seed)
    sown = (ground.crop < ARABLE) & ~ground.fields.scattered
    happened = choose(events, year.covers, ground.fields.number, sown, np.random.default_rng([seed, 2]))
    values = np.empty((len(stamps), *scene.shape), dtype=np.float32)
    for date in range(len(stamps)):
        values[date] = year.dress(date, happened).T.reshape(scene.shape)
    crops = np.array([crop.name for crop in CROPS])[ground.crop[ground.fields.number]]
    text = (
        f"simulated: {len(stamps)} dates of one real scene by crop calendars, weather and events, seed {seed}"
    )
    return Season(values, wavelengths, stamps, happened, crops, text)


def _stamps(dates: Sequence[str]) -> NDArray[np.datetime64]:
    try:
        return np.array(list(dates), dtype="datetime64[D]")
    except ValueError as error:
        raise CubeError("seasons, dates", expected="days such as '2021-12-13'", got=str(error)) from error


def _since_december(stamps: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """(time,) days since the last 1 December before the first date."""
    start = stamps[0].astype("datetime64[Y]").astype("datetime64[M]") - np.timedelta64(1, "M")
    if stamps[0] >= (start + np.timedelta64(12, "M")).astype("datetime64[D]"):
        start = start + np.timedelta64(12, "M")
    return np.asarray((stamps - start.astype("datetime64[D]")) / np.timedelta64(1, "D"), dtype=np.float64)


def _check(scene: Array, wavelengths: NDArray[np.float64], stamps: NDArray[np.datetime64]) -> None:
    faults = (
        ("(band, y, x) of 16 pixels or more a side", scene.ndim == 3 and min(scene.shape[1:]) >= 16),
        ("one wavelength, nm, a band", np.shape(wavelengths) == scene.shape[:1]),
        ("finite numbers", bool(np.isfinite(scene).all())),
        ("reflectance with a median from 0 to 1", bool(0.0 < np.median(scene) < 1.0)),
        ("two or more dates that rise", len(stamps) > 1 and bool((np.diff(stamps).astype(int) > 0).all())),
    )
    got = f"shape {scene.shape}, wavelengths {np.shape(wavelengths)}, dates {stamps.astype(str).tolist()}"
    for expected, right in faults:
        if not right:
            raise CubeError("seasons", expected=expected, got=got)


@dataclass(frozen=True, eq=False)
class _Year:
    """What the weather and the farmers did, by date."""

    ground: Ground
    """The scene taken apart."""

    covers: list[Cover]
    """By date, (field,) shares before any event."""

    moisture: list[Array]
    """By date, (pixel,) of the soil, from 0 to 1."""

    light: list[Array]
    """By date, (pixel, band) or broadcastable, factor near one."""

    contrast: list[Array]
    """By date, (pixel, 1) factor on the detail."""

    @classmethod
    def of(cls, ground: Ground, stamps: NDArray[np.datetime64], seed: int) -> _Year:
        random = np.random.default_rng([seed, 1])
        wet = random.permutation(np.linspace(0.0, 0.9, len(stamps)))
        return cls(
            ground,
            _covers(ground, _since_december(stamps), random),
            [_moisture(ground, base, random) for base in wet],
            [_light(ground, random) for _ in stamps],
            [_contrast(ground, random) for _ in stamps],
        )

    def dress(self, date: int, events: tuple[Event, ...]) -> Array:
        """(pixel, band) reflectance of a date."""
        ground, nm = self.ground, self.ground.wavelengths
        cover, built = apply(events, date, self._pixels(self.covers[date]))
        lost = (1.0 - cover.vigour).astype(np.float32)
        leaves = ground.green * paleness(nm, 0.7 * lost) * dryness_of_leaves(nm, 0.6 * lost)
        ploughed = ground.soil * wetness(nm, self.moisture[date])
        g, d = (share.astype(np.float32)[:, None] for share in (cover.green, cover.dry))
        seasonal = g * leaves + d * dry_plants(nm) + (1.0 - g - d) * ploughed
        plain = ground.lasting + (1.0 - ground.share[:, None]) * seasonal
        plain[built] = roof(nm)
        detail = ground.detail * np.minimum(plain / ground.model, 1.0)
        bright = self.light[date] * ground.brightness[:, None]
        return np.asarray(np.clip(bright * (plain + self.contrast[date] * detail), 0.001, 1.0), np.float32)

    def _pixels(self, cover: Cover) -> Cover:
        """From fields to pixels: the vigorous grow more, all shares stay below one."""
        number = self.ground.fields.number.ravel()
        green = np.clip(cover.green[number] * self.ground.vigour, 0.0, 0.97)
        return Cover(green, np.minimum(cover.dry[number], 1.0 - green), cover.vigour[number])


def _covers(ground: Ground, since: NDArray[np.float64], random: np.random.Generator) -> list[Cover]:
    """By date the (field,) calendar, each field with its own shift (sown fields more) and its own success."""
    count = len(ground.crop)
    shift = np.clip(random.normal(0.0, np.where(ground.crop < ARABLE, 8.0, 4.0)), -18.0, 18.0)
    success = random.uniform(0.85, 1.08, count)
    found = []
    for day in since:
        green, dry, vigour = np.empty((3, count))
        for place, crop in enumerate(CROPS):
            mine = ground.crop == place
            cover = crop.cover(day + shift[mine])
            green[mine], dry[mine], vigour[mine] = cover.green * success[mine], cover.dry, cover.vigour
        found.append(Cover(green, dry, vigour))
    return found


def _moisture(ground: Ground, base: float, random: np.random.Generator) -> Array:
    """Rain over all, hollows wetter than crests, and water on one field in four."""
    number = ground.fields.number
    watered = random.random(len(ground.crop)) < 0.25
    relief = smooth(torch.from_numpy(random.standard_normal(number.shape)), 6.0).numpy()
    relief = relief / max(float(relief.std()), 1e-9)
    wet = base + 0.08 * relief + 0.45 * watered[number]
    return np.clip(wet, 0.0, 1.0).ravel().astype(np.float32)


def _light(ground: Ground, random: np.random.Generator) -> Array:
    """Height of the sun and view: one factor, a slope across the scene, and a slight tilt of the spectrum."""
    rows, cols = ground.fields.number.shape
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, cols), indexing="ij")
    level, south, east = 1.0 + 0.04 * random.standard_normal(), *(0.015 * random.standard_normal(2))
    tilt = (ground.wavelengths / 1000.0) ** (0.03 * random.standard_normal())
    field = (level + south * y + east * x).ravel()
    return (field[:, None] * tilt).astype(np.float32)


def _contrast(ground: Ground, random: np.random.Generator) -> Array:
    """Detail shows more on some dates and fields than on others."""
    by_field = random.uniform(0.7, 1.2) * random.uniform(0.8, 1.2, len(ground.crop))
    return by_field[ground.fields.number.ravel(), None].astype(np.float32)
