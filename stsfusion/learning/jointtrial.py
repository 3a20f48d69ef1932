"""Trial: a date that the hyperspectral sensor saw is hidden, and everything is learned without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from stsfusion.fusion.problem import Problem
from stsfusion.fusion.timeline import spread
from stsfusion.fusion.wald import hide
from stsfusion.learning.changes import Seen, through
from stsfusion.learning.joint import Fine, Joint
from stsfusion.learning.jointakin import with_akin
from stsfusion.learning.jointanswer import Lasting, estimate, keep, told
from stsfusion.learning.jointbase import Settings, learn_base, score_noise
from stsfusion.learning.lent import lent
from stsfusion.learning.live import half_clear
from stsfusion.learning.panel import Bent, Carried, Lesson, Panel
from stsfusion.learning.sighting import place_of, rich_scores

__all__ = ["Tile", "Trial", "guess", "low", "tile_of", "trials", "with_panel"]


_FEW = 12
"""Coarse pixels below which a date of a tile counts as unseen."""

_HALF = 0.5
"""Share of a tile that is enough of a date."""


@dataclass(frozen=True, eq=False)
class Tile:
    """A tile and its series on the fine grid."""

    problem: Problem
    """What may be looked at."""

    dense: Fine | None
    """Dense bands, also what only the hyperspectral sensor saw of them."""

    rich: Fine
    """Scores."""


def tile_of(joint: Joint, problem: Problem) -> Tile:
    """Bring a tile's series to the fine grid."""
    components = joint.components(problem)
    rich = joint.fine_rich(problem, components)
    assert rich is not None
    dense = joint.fine_dense(problem, components)
    return Tile(problem, None if dense is None else lent(joint, problem, dense, rich), rich)


def with_panel(joint: Joint, tiles: Sequence[Tile], settings: Settings) -> Joint:
    """Learn scores from dense bands, and the size of what pixels keep."""
    assert joint.rich is not None
    assert joint.subspace is not None
    least = 0.3 * score_noise(joint.subspace)
    if tiles[0].dense is None:
        lasting = joint.rich.changes.offset.std(0, correction=0) + joint.rich.changes.spread.mean(0)
        return replace(joint, carried=_carried(settings.spans[-1], torch.maximum(lasting, least)))
    lessons = [lesson for tile in tiles for lesson in _lessons(joint, tile)]
    bands = torch.cat([lesson.bands.flatten(1) for lesson in lessons], 1)
    dense = [tile.dense.deviation.square().mean((0, 2, 3)) for tile in tiles if tile.dense is not None]
    noise = torch.stack(dense).mean(0).sqrt()
    dates = len(joint.rich.days)
    bent = Bent.learn(bands, noise, settings.centres, settings.curve, settings.seed, dates=dates)
    joint = replace(joint, bent=bent, panel=Panel.learn(lessons, bent))
    looks = [tile.rich.looks for tile in tiles for _ in tile.rich.days]
    lasting = _lasting(joint, lessons, looks, least)
    joint = replace(joint, carried=_carried(settings.spans[0], lasting))
    both = [(tile.problem, tile.rich, tile.dense) for tile in tiles if tile.dense is not None]
    joint = with_akin(joint, both, settings)
    if joint.akin is None:
        return joint
    return replace(joint, carried=_carried(settings.spans[0], _lasting(joint, lessons, looks, least)))


def _lasting(joint: Joint, lessons: Sequence[Lesson], looks: Sequence[Tensor], least: Tensor) -> Tensor:
    """(p,) standard deviation of what pixels keep: of scores less what bands and looks tell of them."""
    left = []
    for lesson, look in zip(lessons, looks, strict=True):
        said = low(told(joint, lesson.bands, look)[0], lesson)
        left.append((lesson.scores - said)[:, lesson.clear])
    rest = torch.cat(left, 1)
    return rest.square().mean(1).sqrt().clamp_min(least.to(rest))


def _carried(days: float, lasting: Tensor) -> Carried:
    return Carried(torch.tensor(days), torch.tensor(4.0), torch.tensor(0.1), lasting, torch.tensor(0.3))


def _lessons(joint: Joint, tile: Tile) -> list[Lesson]:
    assert joint.subspace is not None
    assert joint.rich is not None
    assert tile.dense is not None
    assert tile.problem.rich is not None
    days, seen = rich_scores(tile.problem.rich, joint.subspace, tile.problem.target.days, joint.rich.dates)
    return [
        Lesson(joint.at(tile.dense, day)[0], seen.values[i], seen.clear[i], seen.kernels[i], seen.ratio)
        for i, day in enumerate(days.tolist())
    ]


def low(image: Tensor, lesson: Lesson) -> Tensor:
    """(c, h, w) what the hyperspectral sensor makes of (c, H, W)."""
    seen = Seen(lesson.scores[None], lesson.clear[None], [lesson.kernel], lesson.ratio)
    return through(image[None], seen)[0]


@dataclass(frozen=True, eq=False)
class Trial:
    """A date that was hidden, in one tile."""

    joint: Joint
    """What was learned without it."""

    tile: Tile
    """What was seen without it."""

    whole: Problem
    """With it."""

    date: int
    """Of the target."""

    wanted: Lesson
    """What the hyperspectral sensor saw; its bands are the dense ones without the date's sharp image."""

    @cached_property
    def kept(self) -> Lasting:
        """What pixels keep."""
        return keep(self.joint, self.tile.rich, self.tile.dense)

    def errors(self, scores: Tensor) -> Tensor:
        """(p, n) of fine scores, at clear coarse pixels."""
        return (low(scores, self.wanted) - self.wanted.scores)[:, self.wanted.clear]


def trials(problems: Sequence[Problem], joint: Joint, settings: Settings) -> list[Trial]:
    """Hide one date of the hyperspectral sensor after the other, with its sharp image.

    Tiles take turns; one that shows less than half of a date stands back for the next that shows more.
    """
    rich = problems[0].rich
    assert rich is not None
    assert joint.subspace is not None
    assert joint.rich is not None
    dates = [date for date in sorted(rich.dates) if any(_tells(problem, date, joint) for problem in problems)]
    if len(dates) < 2:
        return []
    inner, ends = dates[1:-1], [dates[0], dates[-1]]
    chosen = [*spread(inner, max(settings.hidings - 2, 1)), *ends][: settings.hidings]
    found = []
    for turn, date in enumerate(chosen):
        turned = [problems[(turn + step) % len(problems)] for step in range(len(problems))]
        able = [problem for problem in turned if _tells(problem, date, joint)]
        whole = max(able, key=lambda problem: min(_share(problem, date), _HALF))
        found.append(_trial(whole, date, joint, settings))
    return found


def _tells(problem: Problem, date: int, joint: Joint) -> bool:
    """Whether a tile shows the date, and without it something of every sensor that the region has."""
    hidden = _without(problem, date)
    if hidden.rich is None or hidden.sharp is None or (joint.dense is not None and hidden.dense is None):
        return False
    seen = [half_clear(each) for each in hidden.observations.values()]
    return _share(problem, date) > 0 and all(int(clear.sum()) >= _FEW for clear in seen)


def _share(problem: Problem, date: int) -> float:
    """Share of a tile that the hyperspectral sensor saw on a date; zero where that is next to nothing."""
    assert problem.rich is not None
    clear = half_clear(problem.rich.select([problem.rich.dates.index(date)]))
    return float(clear.float().mean()) if int(clear.sum()) >= _FEW else 0.0


def _trial(whole: Problem, date: int, joint: Joint, settings: Settings) -> Trial:
    hidden = _without(whole, date)
    base = learn_base([hidden], settings, joint.subspace)
    tile = tile_of(base, hidden)
    learned = with_panel(base, [tile], settings)
    day = float(whole.target.days[date])
    assert whole.rich is not None
    assert learned.subspace is not None
    assert joint.rich is not None
    days, seen = rich_scores(whole.rich, learned.subspace, whole.target.days, joint.rich.dates)
    place = place_of(days, day)
    assert place is not None
    bands = learned.at(tile.dense, day)[0] if tile.dense is not None else tile.rich.values[0]
    wanted = Lesson(bands, seen.values[place], seen.clear[place], seen.kernels[place], seen.ratio)
    return Trial(learned, tile, whole, date, wanted)


def _without(whole: Problem, date: int) -> Problem:
    """As if the hyperspectral sensor had not seen a date, nor the sharp one, if it saw others."""
    hidden = hide(whole, "rich", (date,))
    if hidden.sharp is not None and set(hidden.sharp.dates) - {date}:
        hidden = hide(hidden, "sharp", (date,))
    return _thinned(hidden, whole)


def _thinned(hidden: Problem, whole: Problem) -> Problem:
    """Without dense dates that no hyperspectral date needs."""
    dense, rich = hidden.dense, whole.rich
    if dense is None or rich is None:
        return hidden
    keep_ = [place for place, date in enumerate(dense.dates) if date in rich.dates]
    return replace(hidden, dense=dense.select(keep_)) if keep_ else hidden


def guess(trial: Trial, days: float) -> tuple[Tensor, Tensor]:
    """Scores of the hidden date and their unsureness, what pixels keep lasting so many days."""
    assert trial.joint.carried is not None
    joint = replace(trial.joint, carried=replace(trial.joint.carried, days=torch.tensor(days)))
    return estimate(joint, trial.kept, trial.tile.dense, float(trial.whole.target.days[trial.date]))
