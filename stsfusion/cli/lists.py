"""What is known and what is there, on the command line: methods, sensors, the schema, this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stsfusion.cli.terminal import plainly, show

__all__ = ["doctor", "methods", "schema", "sensors"]


def methods(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the methods: what they need, how they learn, and their settings."""
    from dataclasses import fields

    from stsfusion import methods as zoo

    with plainly():
        cards = [(zoo.kind(name), zoo.card(name)) for name in zoo.names()]
    settings = [[f.name for f in fields(cls) if f.init] for cls, _ in cards]  # type: ignore[arg-type]
    if as_json:
        rows = [{**vars(card), "settings": own} for (_, card), own in zip(cards, settings, strict=True)]
        print(json.dumps(rows, indent=1))
        return
    lines = [
        (c.name, c.title, " + ".join(c.needs), c.fits, c.source, ", ".join(own))
        for (_, c), own in zip(cards, settings, strict=True)
    ]
    show("", ("method", "what it does", "needs", "fit", "source", "settings"), lines)


def sensors() -> None:
    """List the instruments of the catalogs."""
    from stsfusion.sensing.sensor import load_sensor, sensor_names

    with plainly():
        known = [load_sensor(name) for name in sensor_names()]
    lines = [
        (
            s.name,
            s.title,
            f"{s.pixel:g} m",
            len(s.bands),
            f"{s.wavelengths.min():.0f}–{s.wavelengths.max():.0f} nm",
        )
        for s in known
    ]
    show("", ("sensor", "title", "pixel", "bands", "centres"), lines)


def schema() -> None:
    """Print the JSON schema of recipes, every method's settings included, for editors."""
    from stsfusion.pipeline.recipe import recipe_schema

    print(json.dumps(recipe_schema(), indent=1))


def doctor() -> None:
    """Look at versions, GPU, memory, threads and disk, and say what is amiss."""
    from stsfusion.pipeline.doctor import examine

    found = list(examine(Path.cwd()))
    show("", ("what", "found", "to do"), [(f.what, f.says, f.mend) for f in found])
    raise typer.Exit(1 if any(f.mend for f in found) else 0)
