"""Renewal: the published series brought to what is asked for; what is so already is left alone."""

from __future__ import annotations

import time
from dataclasses import asdict, replace

from stsfusion.cube.manifest import Damage
from stsfusion.cube.spec import milliseconds
from stsfusion.cube.verification import verify
from stsfusion.errors import StoreError
from stsfusion.pipeline import fusing
from stsfusion.pipeline.chosen import require_tiles
from stsfusion.pipeline.fusing import Draft
from stsfusion.pipeline.harmed import mending, sparing
from stsfusion.pipeline.intake import Intake
from stsfusion.pipeline.learnt import Learnt, frozen, learn
from stsfusion.pipeline.madefrom import Difference, MadeFrom, asked, published
from stsfusion.pipeline.making import make
from stsfusion.pipeline.prints import Prints
from stsfusion.pipeline.provenance import provenance
from stsfusion.pipeline.reciperun import End, RecipeRun
from stsfusion.pipeline.room import left, of_dates
from stsfusion.pipeline.soundcubes import require_sound
from stsfusion.pipeline.standing import Deed, Standing, standing
from stsfusion.pipeline.words import made_from_all, tile_facts
from stsfusion.running.ledger import Ledger

__all__ = ["renew"]


def renew(run: RecipeRun, marks: Prints, intake: Intake) -> End | None:
    """Bring the published series to what is asked for; an end when the run cannot go on from here.

    Parameters
    ----------
    marks
        The fingerprints of all steps.
    intake
        What came in.

    Raises
    ------
    StsfusionError
        When it cannot be made, or what is there may not be replaced without a word.
    """
    folder, recipe = run.folder, run.recipe
    draft = fusing.draft(recipe, fusing.cubes_of(folder), folder, run.near, folder.fused)
    require_tiles(draft.plan, run.orders)
    wanted = asked(recipe, draft.assembly, draft.plan, marks.content)
    found = standing(run, wanted, milliseconds(draft.assembly.times).tolist())
    there = published(folder.fused)
    run.facts["dates"] = _counted(wanted, found, there)
    if found.deed is Deed.KEEP and found.was is not None:
        damages = _damages(run, draft, found.was)
        if damages == []:
            return None
        found = mending(run, found, damages)
    found = sparing(run, found)
    run.facts["dates"] = _counted(wanted, found, there)
    change = found.change if found.deed is Deed.CHANGE else None
    expected = _expected(run, wanted, found)
    if there is None or there.identity != expected.identity:
        _require_room(run, draft, change, expected)
    require_sound(run)
    learnt = _learnt(run, draft, marks, wanted, found)
    same = there if found.deed is not Deed.CHANGE else None
    if same is not None and same.identity == learnt.made.identity and _damages(run, draft, same) == []:
        run.facts["dates"] |= {"new": 0, "changed": 0}
        return None
    if recipe.simulate is None:
        run.besides += made_from_all(draft.plan.method, recipe.fuse.neighbours)
    said = provenance(recipe, run.file, marks.content, intake, learnt.made)
    return make(run, draft, learnt, said, change)


def _counted(wanted: MadeFrom, found: Standing, there: MadeFrom | None) -> dict[str, int]:
    """How many dates are asked for, how many of these nobody has seen yet, and how many change."""
    asked_for = len(wanted.dates)
    if found.change is not None:
        return {"asked": asked_for, "new": len(found.change.new), "changed": len(found.change.changed)}
    new = len(wanted.dates.keys() - (there.dates.keys() if there is not None else ()))
    return {"asked": asked_for, "new": new, "changed": asked_for - new}


def _expected(run: RecipeRun, wanted: MadeFrom, found: Standing) -> MadeFrom:
    """What the series will be made from, as far as it is known before the method learns."""
    if found.deed is not Deed.LEARN and found.was is not None:
        return wanted.with_learning_of(found.was)
    return replace(wanted, weights=run.folder.marks().get("fit", {}).get("weights", ""))


def _require_room(run: RecipeRun, draft: Draft, change: Difference | None, series: MadeFrom) -> None:
    """Refuse what memory or disk cannot do, before anything is learned."""
    plan, settings = draft.plan, run.recipe.fuse
    if change is not None:
        dates = [plan.written[at] for at in (*change.new, *change.changed)]
        plan = of_dates(plan, settings.neighbours, dates)
    left(run, plan, series).require(draft.need.disk if settings.product == "full" else None)


def _learnt(run: RecipeRun, draft: Draft, marks: Prints, wanted: MadeFrom, found: Standing) -> Learnt:
    """What the method knows, from where it is to be taken."""
    was = found.was
    if found.deed is Deed.BORROW and was is not None and run.orders.learned is not None:
        return frozen(run, draft, was, run.orders.learned, wanted)
    old = was is not None and was.learned_from != wanted.learned_from
    if was is not None and (found.deed is Deed.CHANGE or (found.deed is Deed.KEEP and old)):
        return frozen(run, draft, was, run.folder.fused, wanted)
    return learn(run, draft, marks, wanted)


def _damages(run: RecipeRun, draft: Draft, was: MadeFrom) -> list[Damage] | None:
    """Files of the published series that are not what they were; None: nobody can tell.

    None is, known at a glance, when that is noted; who says that it may be replaced has every file read.
    """
    folder = run.folder
    known = folder.marks()
    glance = {"fit", "fuse"} <= known.keys() and not run.orders.overwrite
    if glance and folder.is_done("fuse", was.identity, [folder.fused]):
        return []
    begun = time.perf_counter()
    try:
        found = [damage for damage in verify(folder.fused).damages if damage.what != "unknown"]
    except StoreError:
        return None
    if found:
        return found
    if "fit" not in known:
        frozen(run, draft, was, folder.fused, was)
    with Ledger.open(folder.ledger, was.identity) as ledger:
        facts = {
            "seconds": round(time.perf_counter() - begun, 3),
            "tiles": tile_facts(draft.plan, ledger.records()),
        }
    folder.mark("fuse", was.identity, [folder.fused], **facts, need=asdict(draft.need))
    return []
