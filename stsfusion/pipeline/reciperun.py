"""RecipeRun: one run of one recipe on its way, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.recipe import Recipe
from stsfusion.running.progress import Bar, progress

__all__ = ["DONE", "FAILED", "LATER", "End", "Orders", "RecipeRun"]

DONE, FAILED, LATER = 0, 3, 75
"""Exit codes: done or nothing to do, some tiles failed, try again later."""


@dataclass(frozen=True)
class End:
    """How a run ended."""

    code: int
    """For the shell: DONE, FAILED or LATER."""

    words: str
    """For people."""


@dataclass(frozen=True)
class Orders:
    """What the caller has said beside the recipe."""

    update: bool = False
    """Whether the published series is to be brought up to date with what it was made with."""

    refit: bool = False
    """Whether an update learns anew."""

    across_versions: bool = False
    """Whether an update goes on where another version of the code made what is there."""

    overwrite: bool = False
    """Whether a published series of other settings or input may be replaced."""

    learned: Path | None = None
    """A published series of which what was learned is taken, in place of learning."""

    tiles: tuple[str, ...] = ()
    """Keys of the only tiles to be fused; empty: all."""

    retry_failed: bool = False
    """Whether only tiles that failed before are fused."""


@dataclass
class RecipeRun:
    """One run of one recipe, and what its steps have found so far."""

    recipe: Recipe
    """What to do."""

    file: Path
    """The file that it was read from."""

    folder: Folder
    """Where its results are."""

    said: Sequence[str]
    """The overrides that were given, for the report."""

    quiet: bool
    """Whether it shows no progress and says nothing."""

    orders: Orders = Orders()
    """What else the caller has said."""

    worked: list[str] = field(default_factory=list)
    """What was done so far, in words."""

    @property
    def near(self) -> Path:
        """The recipe's folder."""
        return self.file.parent

    @contextmanager
    def step(self, words: str, total: float = 1.0) -> Iterator[Bar]:
        """A piece of work with its bar."""
        self.worked.append(words)
        with progress(words, total, quiet=self.quiet) as bar:
            yield bar

    @property
    def recipe_text(self) -> str:
        """The recipe as it was read, with what was said anew."""
        said = "".join(f"\n# --set {text}" for text in self.said)
        return self.file.read_text(encoding="utf-8").rstrip() + said

    def tell(self, end: End) -> End:
        """Say it, and where the results are."""
        out = Console(quiet=self.quiet, soft_wrap=True)
        out.print(end.words, markup=False, highlight=False)
        folder = self.folder
        if end.code == DONE and folder.report.exists():
            out.print(f"report   {folder.report}", markup=False, highlight=False)
            out.print(f"scores   {folder.scores}", markup=False, highlight=False)
        if end.code == DONE and folder.fused.exists():
            out.print(
                f'series   {folder.fused}    open it:  xarray.open_zarr("{folder.fused}")',
                markup=False,
                highlight=False,
            )
        return end
