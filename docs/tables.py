"""Keep the README's tables fresh: methods from their cards, sensors from their catalog files.

`python docs/tables.py` writes them between their marks in README.md; a test fails while they are stale.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from stsfusion import methods
from stsfusion.fusion.method import Card
from stsfusion.sensing.sensor import Sensor, load_sensor

ROOT = Path(__file__).parents[1]
LEARNS = {"no": "nothing", "scene": "statistics of the scene", "training": "a network, on the scene itself"}


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def method_row(card: Card) -> tuple[str, ...]:
    """One method."""
    needs = " + ".join(card.needs) + "".join(f" (+ {role})" for role in card.uses)
    if card.finest:
        needs = "any, one of them with the target's pixels"
    source = card.source
    if source.startswith("10."):
        source = f"[{source}](https://doi.org/{source})"
    return f"`{card.name}`", card.title, needs, LEARNS[card.fits], source


def sensor_row(sensor: Sensor) -> tuple[str, ...]:
    """One instrument."""
    low, high = min(band.low for band in sensor.bands), max(band.high for band in sensor.bands)
    reach = f"{sensor.wavelengths.min():.0f}–{sensor.wavelengths.max():.0f} nm"
    if len(sensor.bands) == 1:
        reach = f"{low:.0f}–{high:.0f} nm"
    return f"`{sensor.name}`", sensor.title, f"{sensor.pixel:g} m", str(len(sensor.bands)), reach


def tables() -> dict[str, str]:
    """Every table of the README, by the name of its marks; what is installed from elsewhere stays out."""
    own = {path.stem for path in (ROOT / "stsfusion" / "methods").glob("*.py")}
    cards = [methods.card(name) for name in methods.names() if name in own]
    files = sorted((ROOT / "catalogs" / "sensors").glob("*.yaml"))
    return {
        "methods": table(
            ("method", "what it does", "needs", "learns", "source"), [method_row(card) for card in cards]
        ),
        "sensors": table(
            ("sensor", "instrument", "pixel", "bands", "wavelengths"),
            [sensor_row(load_sensor(file)) for file in files],
        ),
    }


def refreshed(text: str) -> str:
    """The README's text with every table as it should be."""
    for name, fresh in tables().items():
        begin, end = f"<!-- {name}: written by docs/tables.py -->", f"<!-- end of {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"README.md has lost its marks '{begin}' and '{end}'")
        text = pattern.sub(lambda _, whole=f"{begin}\n{fresh}\n{end}": whole, text)
    return text


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(refreshed(readme.read_text(encoding="utf-8")), encoding="utf-8")
