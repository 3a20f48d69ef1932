"""Status: how far a recipe's run is, without touching it."""

from __future__ import annotations

from pathlib import Path

from stsfusion.pipeline.comparerun import states
from stsfusion.pipeline.prints import Prints, input_print
from stsfusion.pipeline.recipe import Recipe
from stsfusion.pipeline.steps import folder_of, sources_of
from stsfusion.pipeline.words import duration
from stsfusion.running.ledger import Ledger

__all__ = ["status_of"]


def status_of(recipe: Recipe, file: Path) -> list[tuple[str, str]]:
    """How far a recipe's run is, as lines of two words."""
    folder = folder_of(recipe, file)
    if not folder.root.exists():
        return [("output", f"{folder.root} (not begun)")]
    if recipe.compares:
        return states(recipe, file, folder)
    done = folder.marks()
    if not folder.is_done("cubes", input_print(recipe, file.parent), [folder.cubes]):
        return [("output", str(folder.root)), ("cubes", "to do")]
    marks = Prints(recipe, done["cubes"]["content"], sources_of(recipe, folder, file.parent))
    weights = folder.work / f"weights-{marks.fit[:12]}.safetensors"
    made = {
        "cubes": (done["cubes"]["fingerprint"], [folder.cubes]),
        "fit": (marks.fit, [weights]),
        "fuse": (marks.fuse, [folder.fused]),
        "evaluate": (marks.evaluate, [folder.scores]),
        "report": (marks.report, [folder.report]),
    }
    lines = [("output", str(folder.root))]
    for step, (wanted, paths) in made.items():
        if folder.is_done(step, wanted, paths):
            lines.append((step, f"done in {duration(done[step]['seconds'])}"))
        else:
            lines.append((step, "to do anew: recipe, input or code changed" if step in done else "to do"))
    if folder.ledger.exists():
        with Ledger.open(folder.ledger, marks.fuse, readonly=True) as ledger:
            lines += [(f"tiles {state}", str(count)) for state, count in ledger.summary().items()]
            lines += [(f"  {key}", why) for key, why in ledger.failures().items()]
    return lines
