"""Comparison: the section `compare` of a recipe: methods on scenes, under point spread functions."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from stsfusion.pipeline.pairprotocol import PairProtocol
from stsfusion.records import Record

__all__ = ["Assumed", "Compare", "Text", "are_distinct"]

_FOOTPRINT = re.compile(r"box|(gaussian|fwhm):\d*\.?\d+")

_QUICK_SIDE = 64
"""Pixels along one side of what the quick profile looks at."""

Assumed = Literal["box", "gaussian", "hysure"]
"""A point spread function that methods take for granted, see `learning.pairing`."""


def _is_footprint(text: str) -> str:
    if not _FOOTPRINT.fullmatch(text):
        raise ValueError("gaussian:SIGMA, fwhm:WIDTH (fine pixels) or box")
    return text


def _is_some(text: str) -> str:
    if not text.strip():
        raise ValueError("a text that is not empty")
    return text


def are_distinct(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The texts, if each is there once; raises ValueError else."""
    if len(set(texts)) < len(texts):
        raise ValueError("each of them once")
    return texts


Footprint = Annotated[str, AfterValidator(_is_footprint)]
"""What a coarse pixel sees, see `pipeline.footprint`."""

Text = Annotated[str, AfterValidator(_is_some)]
"""Anything but blanks."""


class Compare(Record):
    """Methods for a coarse hyperspectral and a sharp multispectral image, on scenes that are the truth."""

    scenes: Annotated[tuple[Text, ...], Field(min_length=1), AfterValidator(are_distinct)] = ("indian-pines",)
    """'indian-pines' (from the package tensorly), or NetCDF files with `reflectance` (band, y, x) and
    `wavelength` (nm); paths are seen from the recipe, or from the working folder."""

    psfs: Annotated[tuple[Footprint, ...], Field(min_length=1), AfterValidator(are_distinct)] = (
        "gaussian:0.5",
        "gaussian:1",
        "gaussian:2",
    )
    """Point spread functions that are tried in turn: gaussian:SIGMA of a coarse pixel's own block, fwhm:WIDTH
    (overlapping Gaussian), box; fine pixels."""

    ratio: int = Field(default=4, ge=2, le=64)
    """Fine pixels along one side of a coarse one."""

    msi: Text = "landsat8-oli"
    """The multispectral sensor, by its name in the catalogs."""

    bands: Annotated[tuple[Text, ...], Field(min_length=1), AfterValidator(are_distinct)] | None = None
    """Its bands by name; none: all for images of the ground that the scene covers."""

    blind: bool = True
    """Whether methods are told the ratio and each band's coverage alone."""

    snr_db: float | None = None
    """Signal-to-noise ratio of both images, dB; none: no noise."""

    shift: float = Field(default=0.0, ge=-16, le=16)
    """Misregistration, fine pixels down and right alike."""

    pair: Text | None = None
    """The scenes' own real multispectral image, by its variable; none: it is simulated."""

    methods: Literal["all"] | Annotated[tuple[str | dict[str, Any], ...], Field(min_length=1)] = "all"
    """Names, or names and settings; all: every method that needs these two images and nothing else."""

    assumed: Annotated[tuple[Assumed, ...], AfterValidator(are_distinct)] = ("gaussian",)
    """Point spread functions that classical methods take for granted in rows of their own, beside the one
    that is estimated from the pair: gaussian, as in the tables of the literature, box, hysure."""

    about: str | None = "mixreg"
    """The method of which it is said where it is first, and where it is not; none: of no one."""

    profile: Literal["quick", "full"] = "quick"
    """quick: the middle of each scene, iterative methods shortened and marked; full: everything at its full
    settings."""

    crop: int | None = Field(default=None, ge=8)
    """Pixels along one side of the middle that is used; none: 64 when quick, else the whole scene."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of the noise."""

    @property
    def side(self) -> int | None:
        """Pixels along one side of what is used, a multiple of the ratio; None: all."""
        wanted = self.crop or (_QUICK_SIDE if self.profile == "quick" else None)
        return None if wanted is None else max(wanted // self.ratio, 2) * self.ratio

    def protocol(self, psf: str) -> PairProtocol:
        """What is made of a scene under one of the point spread functions.

        Raises
        ------
        ProblemError
            When a real pair is asked for together with what only a simulated one has.
        """
        return PairProtocol(
            ratio=self.ratio,
            psf=psf,
            msi=self.msi,
            bands=self.bands,
            blind=self.blind,
            snr_db=self.snr_db,
            shift=self.shift,
            pair=self.pair,
            seed=self.seed,
        )
