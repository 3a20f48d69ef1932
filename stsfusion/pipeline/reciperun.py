"""RecipeRun: one run of one recipe on its way, and how it ended."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from stsfusion.cube.store import CubeStore
from stsfusion.errors import LaterError, StsfusionError
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.journal import Journal
from stsfusion.pipeline.recipe import Recipe
from stsfusion.running.progress import Bar, progress

__all__ = ["DONE", "FAILED", "LATER", "End", "Orders", "RecipeRun"]

DONE, UNFORESEEN, WRONG, FAILED, LATER = 0, 1, 2, 3, 75
"""Exit codes: done or nothing to do, an error that nobody foresaw, wrong settings or input, failed tiles, try
again later."""

_TRACE = 3000
"""Characters of a traceback that are kept, its end."""


@dataclass(frozen=True)
class End:
    """How a run ended."""

    code: int
    """For the shell: DONE, FAILED or LATER."""

    words: str
    """For people."""

    shows: bool = False
    """Whether what the recipe asks for is there to be seen: people are told where."""

    summary: Mapping[str, Any] = field(default_factory=dict)
    """For programs: one JSON object that says how the run ended and what it did."""


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

    spent: dict[str, float] = field(default_factory=dict)
    """Seconds by what was done."""

    facts: dict[str, Any] = field(default_factory=dict)
    """What its steps found, for the summary: dates, tiles."""

    besides: list[str] = field(default_factory=list)
    """What people should know of its result, sentence by sentence."""

    sound: bool = False
    """Whether this run has made its input cubes, or found them to be what they were."""

    begun: float = field(default_factory=time.perf_counter)
    """When it began, seconds."""

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder.work)
        self.journal.begin(command=self.command, recipe=str(self.file), output=str(self.folder.root))

    @property
    def command(self) -> str:
        """What it was called by."""
        return "update" if self.orders.update else "run"

    @property
    def near(self) -> Path:
        """The recipe's folder."""
        return self.file.parent

    @contextmanager
    def step(self, words: str, total: float = 1.0) -> Iterator[Bar]:
        """A piece of work with its bar."""
        self.worked.append(words)
        begun = time.perf_counter()
        self.journal.say("step begins", step=words)
        try:
            with progress(words, total, quiet=self.quiet) as bar:
                yield bar
        except KeyboardInterrupt:
            self.journal.say("step stopped", step=words)
            raise
        except BaseException as error:
            self.journal.say("step fails", step=words, why=f"{type(error).__name__}: {error}"[:500])
            raise
        self.spent[words] = round(time.perf_counter() - begun, 3)
        self.journal.say("step", step=words, seconds=self.spent[words])

    @property
    def recipe_text(self) -> str:
        """The recipe as it was read, with what was said anew."""
        said = "".join(f"\n# --set {text}" for text in self.said)
        return self.file.read_text(encoding="utf-8").rstrip() + said

    def tell(self, end: End) -> End:
        """Say it, and where the results are if they are those that were asked for."""
        out = Console(quiet=self.quiet, soft_wrap=True)
        out.print(end.words, markup=False, highlight=False)
        folder = self.folder
        if end.shows and folder.report.exists():
            out.print(f"report   {folder.report}", markup=False, highlight=False)
            out.print(f"scores   {folder.scores}", markup=False, highlight=False)
        if end.shows and folder.fused.exists():
            store = CubeStore(folder.fused)
            compact = "" in store.names() and store.factors() is not None
            opens = f'{"stsfusion.open_cube" if compact else "xarray.open_zarr"}("{folder.fused}")'
            out.print(f"series   {folder.fused}    open it:  {opens}", markup=False, highlight=False)
        return replace(end, summary=self._summary(end))

    def fail(self, error: Exception) -> None:
        """Note that it ended with an error, and give the error what a program wants to know of the run."""
        seconds = round(time.perf_counter() - self.begun, 3)
        if isinstance(error, (StsfusionError, OSError)):
            code, said = LATER if isinstance(error, LaterError) else WRONG, {"words": str(error)[:500]}
        else:
            code, said = UNFORESEEN, {"words": f"{type(error).__name__}: {error}"[:500]}
            said["trace"] = "".join(traceback.format_exception(error))[-_TRACE:]
        self.journal.end(code=code, seconds=seconds, **said)
        error.__dict__["run"] = self._names()

    def _names(self) -> dict[str, Any]:
        """Which run of what it is."""
        return {
            "command": self.command,
            "run": self.journal.run,
            "recipe": str(self.file),
            "output": str(self.folder.root),
        }

    def _summary(self, end: End) -> dict[str, Any]:
        """What a program wants to know."""
        said = {
            **self._names(),
            "code": end.code,
            "words": end.words,
            "worked": bool(self.worked),
            "seconds": round(time.perf_counter() - self.begun, 3),
            "steps": self.spent,
            **self.facts,
        }
        self.journal.end(**{key: said[key] for key in ("code", "words", "seconds")})
        return said
