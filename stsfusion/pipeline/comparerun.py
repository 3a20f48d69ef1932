"""Comparerun: the steps of a recipe that compares methods: rows and pictures, then the page."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stsfusion.pipeline.comparing import Comparison, print_of
from stsfusion.pipeline.contending import Contending
from stsfusion.pipeline.contest import failures
from stsfusion.pipeline.fingerprint import fingerprint
from stsfusion.pipeline.folder import Folder, write_text
from stsfusion.pipeline.pairpage import compared_page
from stsfusion.pipeline.recipe import Recipe
from stsfusion.pipeline.seriescomparing import SeriesComparison, print_of_series
from stsfusion.pipeline.seriespage import compared_series_page
from stsfusion.pipeline.template import write_page
from stsfusion.running.progress import Bar
from stsfusion.views.palette import Picture

__all__ = ["Comparing", "intended", "states"]


@dataclass(frozen=True)
class Comparing:
    """One run of a recipe's comparison."""

    recipe: Recipe
    """With a section `compare` or `compare_series`."""

    file: Path
    """Its file, from which scenes are seen."""

    folder: Folder
    """Where results go."""

    @property
    def rows(self) -> Path:
        """Folder of the rows that are done."""
        return self.folder.work / "rows"

    @property
    def pictures(self) -> Path:
        """Folder of the pictures."""
        return self.folder.root / "pictures"

    @property
    def marks(self) -> tuple[str, str]:
        """Fingerprints of the rows with their pictures, and of the page."""
        report = self.recipe.report
        rows = _print(self.recipe, self.file.parent, shown=report.pictures)
        return rows, fingerprint("report", rows, self.recipe.digest("report"))

    def run(self, step: Callable[[str], AbstractContextManager[Bar]], recipe_text: str) -> list[str]:
        """Do what is not done; the methods that failed, which the next run tries again.

        Parameters
        ----------
        step
            Opens a piece of work with its bar.
        recipe_text
            The recipe as it was said, for the page.
        """
        rows, page = self.marks
        failed: list[str] = []
        if not self.folder.is_done("evaluate", rows, [self.folder.scores, self.pictures]):
            failed = self._evaluate(step, rows)
        if failed or not self.folder.is_done("report", page, [self.folder.report]):
            self._report(step, page, recipe_text, whole=not failed)
        return failed

    def _evaluate(self, step: Callable[[str], AbstractContextManager[Bar]], mark: str) -> list[str]:
        begun = time.perf_counter()
        self.folder.unmark("evaluate")
        with step("Comparing methods") as bar:
            comparison = _comparison(self.recipe, self.file.parent)
            result, pictures = comparison.run(self.rows, bar.at, shown=self.recipe.report.pictures)
        _keep(pictures, self.pictures)
        write_text(self.folder.scores, json.dumps(result, indent=1, allow_nan=False))
        failed = failures(result["rows"])
        if not failed:
            seconds = round(time.perf_counter() - begun, 3)
            self.folder.mark("evaluate", mark, [self.folder.scores, self.pictures], seconds=seconds)
        return failed

    def _report(
        self,
        step: Callable[[str], AbstractContextManager[Bar]],
        mark: str,
        recipe_text: str,
        *,
        whole: bool,
    ) -> None:
        begun = time.perf_counter()
        self.folder.unmark("report")
        with step("Writing the report"):
            written = compared_page if self.recipe.compare is not None else compared_series_page
            page = written(
                json.loads(self.folder.scores.read_text(encoding="utf-8")),
                _kept(self.pictures),
                title=self.recipe.report.title or self.file.stem,
                recipe_text=recipe_text,
                made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {socket.gethostname()}",
            )
            write_page(self.folder.report, page)
        if whole:
            seconds = round(time.perf_counter() - begun, 3)
            self.folder.mark("report", mark, [self.folder.report], seconds=seconds)


def intended(recipe: Recipe, file: Path, folder: Folder) -> str:
    """What a run would do, in words; nothing is left behind."""
    comparison = _comparison(recipe, file.parent)
    return comparison.words(comparison.done(Comparing(recipe, file, folder).rows))


def states(recipe: Recipe, file: Path, folder: Folder) -> list[tuple[str, str]]:
    """How far a run is, as lines of two words."""
    run = Comparing(recipe, file, folder)
    kept = len(list(run.rows.glob("*.json")))
    done, (rows, page) = folder.marks(), run.marks
    lines = [("output", str(folder.root))]
    for step, mark, made in (
        ("evaluate", rows, [folder.scores, run.pictures]),
        ("report", page, [folder.report]),
    ):
        if folder.is_done(step, mark, made, done):
            lines.append((step, f"done in {done[step]['seconds']:.0f} s"))
        else:
            lines.append((step, "to do anew: recipe, input or code changed" if step in done else "to do"))
    return [*lines, ("rows kept", str(kept))]


def _comparison(recipe: Recipe, near: Path) -> Contending[Any]:
    """What the recipe asks, looked at before any work."""
    if recipe.compare is not None:
        return Comparison.of(recipe.compare, near)
    assert recipe.compare_series is not None
    return SeriesComparison.of(recipe.compare_series, near)


def _print(recipe: Recipe, near: Path, *, shown: bool) -> str:
    """Fingerprint of all that rows and pictures depend on."""
    if recipe.compare is not None:
        return print_of(recipe.compare, near, shown=shown)
    assert recipe.compare_series is not None
    return print_of_series(recipe.compare_series, near, shown=shown)


_FACTS = ("section", "title", "caption", "wide")


def _keep(pictures: Sequence[Picture], folder: Path) -> None:
    """Write pictures as PNG files, and what belongs to them into one JSON."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    index: list[dict[str, Any]] = []
    for count, picture in enumerate(pictures):
        words = f"{picture.section} {picture.title}".lower()
        slug = "-".join("".join(c if c.isalnum() else " " for c in words).split())[:60]
        name = f"{count:03d}-{slug}.png"
        (folder / name).write_bytes(picture.png)
        index.append({"file": name, **{fact: getattr(picture, fact) for fact in _FACTS}})
    write_text(folder / "index.json", json.dumps(index, indent=1))


def _kept(folder: Path) -> list[Picture]:
    """What `_keep` wrote."""
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    return [
        Picture(**{fact: each[fact] for fact in _FACTS}, png=(folder / each["file"]).read_bytes())
        for each in index
    ]
