"""Naming: what a product's name says, held against its metadata."""

from __future__ import annotations

import re

from stsfusion.ingest.metadata import Facts
from stsfusion.ingest.refusal import DeliveryError

__all__ = ["check_name"]

_NAME = re.compile(
    r"(?P<platform>[A-Z0-9]+)_(?P<instrument>[A-Z]+)_(?P<lon>[EW][\d.]+)_(?P<lat>[NS][\d.]+)_(?P<date>\d{8})"
    r"(?:_\d{6})?_(?P<level>L\d[A-C]?)(?P<number>\d{7,12})",
    re.IGNORECASE,
)
_FAR = 1.0
"""Degrees by which the place in a name may differ from the scene's centre; names have one decimal."""


def check_name(product: str, facts: Facts) -> str:
    """The level that a product's name tells, when name and XML tell of the same product.

    Raises
    ------
    DeliveryError
        When satellite, instrument, number, date or place differ.
    """
    parts = _NAME.match(product)
    if parts is None:
        return facts.level
    lon = float(parts["lon"][1:]) * (-1 if parts["lon"][0] in "Ww" else 1)
    lat = float(parts["lat"][1:]) * (-1 if parts["lat"][0] in "Ss" else 1)
    east = (facts.centre[0] - lon + 180) % 360 - 180
    date = f"{facts.taken:%Y%m%d}"
    apart = abs((facts.taken.date() - facts.taken.strptime(parts["date"], "%Y%m%d").date()).days)
    number = facts.product.lstrip("0")
    pairs = (
        ("satellite", parts["platform"].upper(), facts.platform.upper(), True),
        ("instrument", parts["instrument"].upper(), facts.instrument.upper(), True),
        ("number", parts["number"].lstrip("0"), number, bool(number)),
    )
    wrong = [(what, name, said) for what, name, said, asked in pairs if asked and name != said]
    if apart > 1:
        wrong.append(("date", parts["date"], date))
    if abs(east) > _FAR or abs(facts.centre[1] - lat) > _FAR:
        wrong.append(("place", f"{lon:g}, {lat:g}", "{:.2f}, {:.2f}".format(*facts.centre)))
    if wrong:
        what, name, said = wrong[0]
        raise DeliveryError(
            f"file {facts.path}: {what}",
            expected=f"{name}, as in {product}",
            got=said,
            mend="It belongs to another product.",
        )
    return str(parts["level"]).upper()
