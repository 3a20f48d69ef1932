"""Pairpage: a comparison of hyperspectral–multispectral methods as one page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stsfusion.fusion.weights import settings_of
from stsfusion.pipeline.comparison import Compare
from stsfusion.pipeline.doctor import versions
from stsfusion.pipeline.entrants import Entrant, entrants
from stsfusion.pipeline.facts import Input, MethodCard, Report
from stsfusion.pipeline.pairboards import beaten, costs, firsts, medians, scenes
from stsfusion.pipeline.pairstage import SCORES
from stsfusion.pipeline.template import fill, sections
from stsfusion.quality.metrics import metrics
from stsfusion.views.palette import Picture

__all__ = ["card_of", "compared_page"]

Row = Mapping[str, Any]

_DATA = (
    "Simulated: the scenes were measured, the observations made of them were computed. Figures say how "
    "methods compare on such data."
)

_COST = (
    "Each method in a process of its own; memory above what the process had with its libraries and the "
    "question. Inside: the share of the truth within a method's own 90 % intervals, for those that give a "
    "standard deviation; least and most are over tenths of it."
)

_TERMS = (
    (
        "gaussian:S",
        "A Gaussian of standard deviation S fine pixels on the coarse pixel's own block, nothing outside it.",
    ),
    ("fwhm:W", "A Gaussian of full width W at half maximum, which overlaps the neighbours' blocks."),
    ("box", "The plain mean of the block."),
    (
        "psf=gaussian",
        "The method takes for granted a Gaussian cut to the block, its full width at half maximum the ratio, "
        "and responses by HySure's estimator: how the literature's tables were made.",
    ),
)


def compared_page(
    result: Mapping[str, Any], pictures: Sequence[Picture], *, title: str, recipe_text: str, made: str
) -> str:
    """The page as text; what was lost is said like what was won.

    Parameters
    ----------
    result
        `protocol`, `scenes` and `rows`, see `comparing`.
    """
    asked, rows = Compare.model_validate_json(json.dumps(result["protocol"])), result["rows"]
    ran = entrants(asked)
    lost = beaten(rows, asked.about) if asked.about else []
    facts = Report(
        title=title,
        simulated=True,
        method=asked.about or "",
        made=made,
        recipe_text=recipe_text,
        inputs=[_input(said) for said in _first_of_each(result["scenes"])],
        versions=versions(),
        methods=[card_of(entrant) for entrant in ran],
    )
    known = metrics()
    return fill(
        "comparison.html",
        facts=facts,
        words=list(_words(asked, result["scenes"], ran)),
        summary=_summary(asked.about, rows, len(lost)),
        sections=sections(pictures),
        tables=[table for table in (medians(rows), *scenes(rows)) if table is not None],
        firsts=firsts(rows),
        costs=costs(rows),
        lost=lost,
        lost_heads=("scene", "point spread function", "metric"),
        about_data=_DATA,
        cost_words=_COST,
        terms=_TERMS,
        failed=[
            (f"{row['scene']}, {row['psf']}, {row['method']}", row["error"]) for row in rows if "error" in row
        ],
        hurried=any(row["quick"] for row in rows),
        glossary=[known[name] for name in SCORES],
    )


def _place(row: Row) -> str:
    return f"{row['scene']}, {row['psf']}, {row['method']}"


def _summary(about: str | None, rows: Sequence[Row], lost: int) -> str:
    """How often the method that matters is first."""
    own = [row for row in rows if row["method"] == about]
    if not own:
        return ""
    asked = len(own) * len(SCORES)
    others = "The other one is" if lost == 1 else f"The {lost} others are"
    tail = "" if lost == 0 else f" {others} listed below the tables."
    return (
        f"{about} is first in {asked - lost} of {asked} comparisons, each a metric on a scene under a point "
        f"spread function, among all methods and settings of this page.{tail}"
    )


def _words(asked: Compare, said: Sequence[Row], ran: Sequence[Entrant]) -> Iterable[str]:
    """What was done, sentence by sentence."""
    told = "the ratio and each band's coverage alone" if asked.blind else "everything there is to know"
    sharp = (
        f"the real image '{asked.pair}'"
        if asked.pair
        else f"{asked.msi}, bands {', '.join(said[0]['bands'])}"
    )
    noise = "without noise" if asked.snr_db is None else f"with noise of {asked.snr_db:g} dB"
    moved = f", misregistered by {asked.shift:g} fine pixels" if asked.shift else ""
    yield (
        f"Each scene is taken to be true. Its coarse image has pixels {asked.ratio} times as large, "
        f"its sharp image is {sharp}, {noise}{moved}. Methods are told {told}."
    )
    if asked.profile == "quick":
        nets = [row.label for row in ran if row.method.card.fits == "training"]
        side = f"the middle {asked.side} × {asked.side} pixels of each scene"
        trained = (
            f" {' and '.join(nets)} run under {asked.psfs[0]} alone." if nets and len(asked.psfs) > 1 else ""
        )
        yield (
            f"Quick profile: {side}; methods with a star are shortened and do not reach their full settings."
            f"{trained} The full profile: --set compare.profile=full."
        )
    for note in dict.fromkeys(note for each in said for note in each["notes"]):
        yield f"{note}."


def _first_of_each(said: Sequence[Row]) -> list[Row]:
    return list({each["scene"]: each for each in reversed(said)}.values())[::-1]


def _input(said: Row) -> Input:
    size = said["scene_shape"]
    words = f"{size['bands']} bands × {size['rows']} × {size['cols']} pixels"
    return Input("scene", said["scene"], words, said["scene_sha256"])


def card_of(entrant: Entrant) -> MethodCard:
    """A method as it was run."""
    card = entrant.method.card
    settings = {key: value for key, value in settings_of(entrant.method).items() if key != "name"}
    return MethodCard(entrant.label, card.title, card.source, json.dumps(settings))
