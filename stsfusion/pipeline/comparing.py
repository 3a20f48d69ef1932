"""Comparing: a recipe's comparison from scenes to rows and pictures; rows that are done are not done again.

::

    scenes × point spread functions ─► exhibits ─┐
    methods, as they are and with assumed optics ┴─► contest ─► rows · by_band · kernels ─► pictures
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from stsfusion import resources
from stsfusion.errors import CubeError
from stsfusion.forward.sample import SAMPLES, open_scene
from stsfusion.fusion.weights import settings_of
from stsfusion.pipeline.comparison import Compare
from stsfusion.pipeline.contending import Contending, Result
from stsfusion.pipeline.contest import Table
from stsfusion.pipeline.entrants import Entrant, entrants
from stsfusion.pipeline.exhibit import Exhibit
from stsfusion.pipeline.fingerprint import fingerprint, fingerprint_of_code, fingerprint_of_parts
from stsfusion.pipeline.pairpictures import kernel_pictures, pictures
from stsfusion.pipeline.pairstage import PairStage
from stsfusion.pipeline.plates import Plates
from stsfusion.pipeline.scene import Scene, read_scene
from stsfusion.pipeline.stamps import stamps
from stsfusion.views.palette import Picture

__all__ = ["Comparison", "by_band", "print_of"]


@dataclass(frozen=True, eq=False)
class Comparison(Contending[Exhibit]):
    """All questions and all methods of a recipe, looked at before any work."""

    asked: Compare
    """What the recipe says."""

    stages: tuple[PairStage, ...]
    """Scenes under point spread functions, scene by scene."""

    entrants: tuple[Entrant, ...]
    """Rows of every table."""

    @classmethod
    def of(cls, asked: Compare, near: Path) -> Self:
        """Read the scenes and make the methods; paths are seen from `near`, the recipe's folder.

        Raises
        ------
        CubeError, MethodError, SensorError, ProblemError, RecipeError
            When scenes, methods or protocol cannot be used.
        """
        rows = tuple(entrants(asked))
        scenes = [_cut(_scene(text, near, asked.pair), asked.side) for text in asked.scenes]
        _distinct(scenes)
        stages = tuple(PairStage(scene, asked.protocol(psf)) for scene in scenes for psf in asked.psfs)
        for stage in stages:
            _ = stage.bands, stage.kernel
        return cls(asked, stages, rows)

    def rows_of(self, stage: PairStage) -> list[Entrant]:
        """Who takes part: all; when quick, networks do so under the first point spread function alone."""
        first = stage.protocol.psf == self.asked.psfs[0]
        everyone = first or self.asked.profile == "full"
        return [row for row in self.entrants if everyone or row.method.card.fits != "training"]

    def questions(self) -> Iterator[tuple[Exhibit, list[Entrant]]]:
        """Every scene under every point spread function."""
        return ((Exhibit(replace(stage)), self.rows_of(stage)) for stage in self.stages)

    def empty(self) -> Result:
        """What is asked."""
        lists: Result = {name: [] for name in ("scenes", "rows", "by_band", "kernels")}
        return {"protocol": self.asked.model_dump(mode="json"), **lists}

    def add(
        self, result: Result, asked: Exhibit, rows: Sequence[Entrant], tables: Mapping[str, Table]
    ) -> None:
        """Put one question's rows, curves and kernels beside the others."""
        place = {"scene": asked.stage.scene.name, "psf": asked.stage.protocol.psf}
        nm = asked.stage.scene.wavelengths.round(2).tolist()
        result["scenes"].append({**asked.said, "wavelengths": nm})
        truth = {"learnt": False, "weights": asked.stage.kernel.tolist()}
        result["kernels"].append({**place, "method": "truth", "assumed": "", **truth})
        for entrant in rows:
            table = tables[entrant.label]
            said = {**place, "method": entrant.label, "assumed": entrant.assumed}
            result["rows"] += [{**said, "quick": entrant.quick, **row} for row in table["rows"]]
            if table.get("kernel"):
                result["kernels"].append({**said, **table["kernel"]})
            if "plates" in table:
                result["by_band"].append({**said, "psnr": by_band(table)})

    def drawn(self, asked: Exhibit, rows: Sequence[Entrant], tables: Mapping[str, Table]) -> list[Picture]:
        """Composites, error maps and curves."""
        return pictures(asked, rows, tables, self.asked.about or "")

    def drawn_of_all(self, result: Result) -> list[Picture]:
        """Footprints."""
        return kernel_pictures(result, self.asked.ratio)

    def words(self, kept: int) -> str:
        """What a run would do."""
        first, psfs = self.stages[0].scene, len(self.asked.psfs)
        bands, rows, cols = first.values.shape
        many = f"{len(self.entrants)} methods and settings on {len(self.stages) // psfs} scene(s)"
        many += f" under {psfs} point spread function(s)"
        return "\n".join(
            [
                f"Would compare {many}, profile '{self.asked.profile}'.",
                f"first    {first.name}, {bands} bands × {rows} × {cols} pixels, ratio {self.asked.ratio}",
                f"rows     {self.trials}, of which {kept} are done",
            ]
        )


def by_band(table: Table) -> list[float | None]:
    """PSNR of every band of what was kept of an answer, dB."""
    curve = Plates.from_json(table["plates"]).psnr
    return [None if value != value else round(float(value), 2) for value in curve]


def print_of(asked: Compare, near: Path, *, shown: bool) -> str:
    """Fingerprint of all that rows and pictures depend on, scenes by their files' size and time."""
    files = stamps((_file(text, near) for text in asked.scenes), near)
    sensor = resources.find("catalogs", f"sensors/{asked.msi}.yaml")
    ran = entrants(asked)
    rows = [(row.label, settings_of(row.method)) for row in ran]
    alike = {json.dumps({**settings_of(row.method), "psf": None}): row.method for row in ran}
    code = [fingerprint_of_code(method) for method in alike.values()]
    code.append(fingerprint_of_parts("cube", "forward", "sensing", "views", "pipeline"))
    said = json.dumps(asked.model_dump(mode="json"), sort_keys=True)
    return fingerprint("compare", said, files, rows, code, sensor.read_bytes() if sensor else b"", shown)


def _file(text: str, near: Path) -> Path:
    return near / text if (near / text).is_file() else Path(text)


def _scene(text: str, near: Path, pair: str | None) -> Scene:
    """A scene by its name, or from its file."""
    path = _file(text, near)
    if path.is_file() or text not in SAMPLES:
        return read_scene(path, pair=pair)
    if pair is not None:
        raise CubeError(
            f"scene {text}",
            expected=f"a file with '{pair}'",
            got="a scene without a real multispectral image",
        )
    sample = open_scene(text)
    return Scene(sample.name, sample.reflectance, sample.wavelengths, notes=(f"{text}: {sample.title}",))


def _cut(scene: Scene, side: int | None) -> Scene:
    """The middle of a scene; all of it where it is smaller or no side is asked for."""
    if side is None:
        return scene
    rows, cols = (_middle(length, side) for length in scene.values.shape[1:])
    partner = scene.partner
    if partner is not None:
        partner = replace(partner, values=partner.values[:, rows, cols])
    return replace(scene, values=scene.values[:, rows, cols], partner=partner)


def _middle(length: int, side: int) -> slice:
    start = max(length - side, 0) // 2
    return slice(start, min(start + side, length))


def _distinct(scenes: list[Scene]) -> None:
    """Rows are told apart by the scene's name."""
    twice = [name for name, count in Counter(scene.name for scene in scenes).items() if count > 1]
    if twice:
        raise CubeError(
            f"scene {twice[0]}",
            expected="scenes of different names",
            got="two of this name",
            mend="Rename one.",
        )
