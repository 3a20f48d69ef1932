"""What is known and what is there, on the command line: methods, sensors, the schema, this machine."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from stsfusion.cli.options import AsJson
from stsfusion.cli.terminal import plainly, show, tell_in_json

__all__ = ["doctor", "methods", "schema", "sensors"]


def methods(as_json: AsJson = False) -> None:
    """List the methods: what they need, how they learn, and their settings.

    A method is chosen in a recipe by its name, or with its settings:

      fuse: {method: gsa}
      fuse: {method: {name: stsnet, steps: 2000}}

    [bold]Examples[/bold]

      stsfusion methods
      stsfusion methods --json
      stsfusion run demo --set fuse.method=gsa --set output=gsa-out
    """
    from dataclasses import fields

    from stsfusion import methods as zoo

    with plainly(as_json):
        cards = [(zoo.kind(name), zoo.card(name)) for name in zoo.names()]
    settings = [[f.name for f in fields(cls) if f.init] for cls, _ in cards]  # type: ignore[arg-type]
    if as_json:
        rows = [{**vars(card), "settings": own} for (_, card), own in zip(cards, settings, strict=True)]
        tell_in_json(0, methods=rows)
        return
    lines = [
        (c.name, c.title, " + ".join(c.needs), c.fits, c.source, ", ".join(own))
        for (_, c), own in zip(cards, settings, strict=True)
    ]
    show("", ("method", "what it does", "needs", "fit", "source", "settings"), lines)


def sensors() -> None:
    """List the instruments of the catalogs.

    An instrument is one file, in catalogs/sensors of this folder or among those that came along; a recipe
    also looks beside itself. The names are what a recipe's `roles:` and the benchmarks ask for.

    [bold]Example[/bold]

      stsfusion sensors
    """
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
    """Print the JSON schema of recipes, every method's settings included, for editors.

    With it an editor completes keys and marks mistakes while a recipe is written: its first line says where
    the schema lies, as # yaml-language-server: $schema=recipe.schema.json.

    [bold]Example[/bold]

      stsfusion schema > recipe.schema.json
    """
    from stsfusion.pipeline.recipe import recipe_schema

    print(json.dumps(recipe_schema(), indent=1))


def doctor() -> None:
    """Look at versions, GPU, memory, threads and disk, and say what is amiss.

    Exit codes: 0 nothing is amiss; 1 something is, and what to do is said beside it.

    [bold]Example[/bold]

      stsfusion doctor
    """
    from stsfusion.pipeline.doctor import examine

    found = list(examine(Path.cwd()))
    show("", ("what", "found", "to do"), [(f.what, f.says, f.mend) for f in found])
    raise typer.Exit(1 if any(f.mend for f in found) else 0)
