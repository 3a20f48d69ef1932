"""Room: whether what is left of a series can be made with the memory and on the disk that there are.

::

    all tiles ─ of dates that stay ─ done by an earlier try ─ not asked for = left: these need memory and disk

A series of which nothing is left needs neither: it can be looked at and left alone on the fullest disk.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from stsfusion.cube.publication import Publication
from stsfusion.engine.need import refuse_if_no_room, refuse_if_too_large
from stsfusion.engine.plan import Plan
from stsfusion.errors import StoreError
from stsfusion.pipeline.chosen import chosen
from stsfusion.pipeline.folder import Folder
from stsfusion.pipeline.madefrom import MadeFrom, published
from stsfusion.pipeline.neighbourhood import cut, intervals
from stsfusion.pipeline.reciperun import RecipeRun
from stsfusion.running.ledger import Ledger
from stsfusion.running.notes import Notes
from stsfusion.running.outcome import Success

__all__ = ["Left", "left", "of_dates", "places", "upcoming"]


@dataclass(frozen=True, eq=False)
class Left:
    """What is left to be made of a series."""

    run: RecipeRun
    """Who would make it."""

    plan: Plan
    """With the tiles that are left, and no others."""

    done: Plan
    """With the tiles that an earlier try has done."""

    place: Path | None
    """Where these lie; None: nobody has begun."""

    def require(self, disk: int | None) -> None:
        """Refuse what does not fit into memory or on the disk.

        Parameters
        ----------
        disk
            Bytes of the whole series at most, before compression; None: not known yet.

        Raises
        ------
        PlanError
            With the numbers.
        """
        settings = self.run.recipe.fuse
        if not self.plan.tiles:
            return
        workers = settings.workers if settings.executor == "local" else 1
        refuse_if_too_large(
            self.plan, budget=settings.budget_bytes(), workers=workers, shard=settings.shard_size
        )
        if disk is not None:
            self.require_disk(disk)

    def require_disk(self, disk: int) -> None:
        """Refuse what does not fit on the disk, of so many bytes of the whole series before compression.

        Tiles that were done tell how well the others will compress.

        Raises
        ------
        PlanError
            With the numbers.
        """
        folder, ours, theirs = self.run.folder, _share(self.plan), _share(self.done)
        most, measured = ours * disk, False
        if self.place is not None and theirs:
            known = ours / theirs * _held(self.place)
            most, measured = min(most, known), known < most
        others = {*folder.stagings, folder.fused} - {self.place}
        refuse_if_no_room(
            folder.fused, round(most), spare=sum(_held(path) for path in others), measured=measured
        )


def left(run: RecipeRun, plan: Plan, series: MadeFrom | None) -> Left:
    """What is left of a plan.

    Parameters
    ----------
    plan
        All that is to be made, whether it is done or not.
    series
        What is made; None: not known yet, so that nobody can have begun.
    """
    identity = "" if series is None else series.identity
    place, done, failed = _begun(run.folder, identity)
    if place is not None and (there := published(place)) is not None and there.identity == identity:
        done = {tile.key for tile in plan.tiles}  # it only has to take its place
    only = chosen(run.orders, failed)
    asked = [tile for tile in plan.tiles if only is None or tile.key in only]
    return Left(
        run,
        replace(plan, tiles=tuple(tile for tile in asked if tile.key not in done)),
        replace(plan, tiles=tuple(tile for tile in plan.tiles if tile.key in done)),
        place,
    )


def of_dates(plan: Plan, neighbours: int | None, dates: Collection[int]) -> Plan:
    """The plan with tiles that write these dates (indices of the target) alone."""
    around = intervals(plan.target.shape[0], plan.sources, plan.method.span(), neighbours)
    return cut(plan, around, dates)


def upcoming(series: Path) -> str | None:
    """Identity of the series that is being written there, or else is published."""
    found = Publication(series).upcoming().get("")
    return None if found is None else str(found.attributes.get("series_sha256"))


def _begun(folder: Folder, identity: str) -> tuple[Path | None, set[str], set[str]]:
    """Where an earlier try wrote a series, and the tiles that it did and those in which it failed."""
    place = next(places(folder, identity), None)
    with Ledger.open(folder.ledger, identity, readonly=True) as ledger:
        done, failed = {record["key"] for record in ledger.records()}, set(ledger.failures())
    ends = Notes(folder.notes(identity)).ends() if identity else {}
    for key, end in ends.items():
        (done if isinstance(end, Success) else failed).add(key)
    return place, done if place is not None else set(), failed


def places(folder: Folder, identity: str) -> Iterator[Path]:
    """Where a series may have been begun: beside the published one, or at its end."""
    if identity and folder.staging(identity).exists():
        yield folder.staging(identity)
    if Publication(folder.fused).pending and upcoming(folder.fused) == identity:
        yield folder.fused


def _share(plan: Plan) -> float:
    """What its tiles write of the whole series, from 0 to 1."""
    _, _, rows, cols = plan.target.shape
    written = set(plan.written)
    pixels = sum(
        len(written.intersection(range(*tile.core.dates))) * tile.core.shape[1] * tile.core.shape[2]
        for tile in plan.tiles
    )
    return pixels / (len(written) * rows * cols)


def _held(series: Path) -> int:
    """Bytes on the disk of dates that are not published, but for files that another series also has."""
    try:
        there = Publication(series).published().get("")
    except (StoreError, NotADirectoryError):
        return 0
    first = 0 if there is None else there.dates
    dates = [path for path in series.glob("*/c/*") if path.name.isdecimal() and int(path.name) >= first]
    files = [path.stat() for date in dates for path in date.rglob("*") if path.is_file()]
    return sum(max(file.st_size, 512 * file.st_blocks) for file in files if file.st_nlink == 1)
