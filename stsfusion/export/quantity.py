"""Quantity: what is exported of a series, and how it lies in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stsfusion.cube.layout import FLAGS, ORIGIN
from stsfusion.cube.packing import REFLECTANCE, SIGMA, Packing
from stsfusion.cube.spec import CubeSpec

__all__ = ["QUANTITIES", "Quantity", "flag_attributes"]


@dataclass(frozen=True)
class Quantity:
    """One kind of number that a series holds for each pixel and date."""

    name: str
    """As the store and the files call it."""

    title: str
    """In words."""

    dtype: str
    """Integer type in a file."""

    packing: Packing | None
    """How numbers become integers, and which one is a gap; None: they are integers without a gap."""

    @property
    def banded(self) -> bool:
        """Whether there is one for each band, or one for all."""
        return self.packing is not None

    @property
    def suffix(self) -> str:
        """What names of files carry; nothing for reflectance itself."""
        return "" if self.name == "reflectance" else f"_{self.name}"


QUANTITIES = {
    "reflectance": Quantity("reflectance", "reflectance", REFLECTANCE.dtype, REFLECTANCE),
    "sigma": Quantity("sigma", "standard deviation of reflectance", SIGMA.dtype, SIGMA),
    "qa": Quantity("qa", "how the pixel came to be", "uint16", None),
}
"""All there are, by name."""


def flag_attributes(spec: CubeSpec) -> Mapping[str, Any]:
    """What the numbers of `qa` mean, after the CF conventions: some under a mask, some single bits."""
    meanings = " ".join([*FLAGS.values(), *spec.marks])
    bits = list(spec.marks.values())
    if not bits:
        return {"flag_values": list(FLAGS), "flag_meanings": meanings}
    masks = [ORIGIN] * len(FLAGS) + bits
    return {"flag_masks": masks, "flag_values": [*FLAGS, *bits], "flag_meanings": meanings}
