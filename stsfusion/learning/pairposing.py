"""Pairposing: the dates of a problem as pairs: dead bands left out, gaps filled, what was seen marked.

The state says which bands take part: `live` (L,) of the hyperspectral, `used` (l,) of the multispectral ones,
and, where pixels lack some bands only, how those go with the others (see `bandfill`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stsfusion.fusion.problem import Observation, Problem
from stsfusion.learning.bandfill import BandFill
from stsfusion.learning.kept import joined, under
from stsfusion.learning.pair import Pair
from stsfusion.learning.registered import FEW
from stsfusion.operators.fill import fill

__all__ = ["lost_bands", "pair_of", "pairs_by_day", "shown"]

_FILL = "bandfill"
"""Prefix of what is known of bands that go together."""

_NEARLY = 0.9
"""Share of its bands that a pixel must have to be answered for, and to be learned from where next to none
has all of them."""


def lost_bands(problems: Sequence[Problem], used: Tensor) -> dict[str, Tensor]:
    """State by which multispectral bands that pixels lack are told by the others; nothing where none are."""
    if all(problem.require("sharp")[0].valid.shape[1] == 1 for problem in problems):
        return {}
    found = BandFill.learn(image for problem in problems for image in _images(problem, used))
    return {} if found is None else joined({_FILL: found})


def pair_of(
    problem: Problem, coarse: Tensor, date: int, state: Mapping[str, Tensor], passes: int
) -> Pair | None:
    """The pair of one date of the target; None when the sharp sensor did not see it.

    Parameters
    ----------
    coarse
        (L, h, w) hyperspectral image of the date, its gaps filled.
    passes
        Hyperspectral pixels by which gaps of the multispectral image are entered from their edges.
    """
    rich, sharp = problem.require("rich", "sharp")
    if date not in sharp.dates:
        return None
    live, used = state["live"].to(coarse.device), state["used"].to(coarse.device)
    place = sharp.dates.index(date)
    image, mask = sharp.data[place : place + 1][:, used], _of_date(sharp, place)[:, used]
    lost = under(state, _FILL)
    if lost:
        image, mask = (x[None] for x in BandFill.of(lost)(image[0], mask[0]))
    fine, _ = fill(image, mask, passes * rich.ratio)
    seen = torch.ones_like(coarse[0], dtype=torch.bool)
    if date in rich.dates:
        own = _of_date(rich, rich.dates.index(date))
        seen = own[:, live if rich.valid.shape[1] > 1 else slice(None)].all(1)[0]
    return Pair(
        coarse=coarse[live],
        fine=fine[0],
        clear=seen,
        known=mask.all(1)[0],
        coverage=(sharp.view.spectral.matrix.to(coarse.device) > 0)[used][:, live],
        nm=problem.target.wavelengths.to(coarse.device)[live],
        ratio=rich.ratio,
        day=float(problem.target.days[date]),
        coarse_noise=None if rich.noise is None else rich.noise[live],
        fine_noise=None if sharp.noise is None else sharp.noise[used],
    )


def pairs_by_day(
    problems: Sequence[Problem], state: Mapping[str, Tensor], passes: int
) -> dict[float, list[Pair]]:
    """Pairs of all tiles, by day, those without a single clear pixel left out."""
    found: dict[float, list[Pair]] = {}
    for problem in problems:
        rich, sharp = problem.require("rich", "sharp")
        for i, date in enumerate(rich.dates):
            if date not in sharp.dates:
                continue
            mask = _of_date(rich, i)
            filled, near = fill(rich.data[i : i + 1], mask, passes)
            pair = pair_of(problem, filled[0], date, state, passes)
            if pair is not None:
                pair = _mended(pair, mask[0, state["live"]], near[0, state["live"]])
                if bool(pair.clear.any()) and bool(pair.known.any()):
                    found.setdefault(pair.day, []).append(pair)
    return dict(sorted(found.items()))


def shown(rich: Observation, live: Tensor, passes: int) -> Tensor:
    """(h, w) bool: coarse pixels of which nearly all live bands were seen on some date, the others nearby.

    Beyond the edge of a swath, or where one of two detectors alone looked, nothing can be told.

    Parameters
    ----------
    live
        (L,) bool.
    passes
        Coarse pixels by which gaps are entered from their edges.
    """
    mask = rich.valid.any(0).expand(-1, *rich.data.shape[2:])
    mask = mask[live.to(mask.device)] if len(mask) > 1 else mask
    _, reached = fill(torch.zeros_like(mask[None], dtype=torch.float32), mask[None], passes)
    return reached[0].all(0) & (mask.float().mean(0) >= _NEARLY)


def _images(problem: Problem, used: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(l, H, W) multispectral image and mask of every date."""
    (sharp,) = problem.require("sharp")
    for place in range(len(sharp.data)):
        yield sharp.data[place][used], _of_date(sharp, place)[0, used]


def _of_date(observation: Observation, place: int) -> Tensor:
    """(1, b or 1, y, x) mask of one of an observation's own dates."""
    valid = observation.valid.expand(*observation.valid.shape[:2], *observation.data.shape[2:])
    mask = valid if valid.shape[0] == 1 else valid[place : place + 1]
    return mask.expand(1, observation.data.shape[1], *mask.shape[2:])


def _mended(pair: Pair, mask: Tensor, near: Tensor) -> Pair:
    """Where hardly a pixel has all its bands, as with columns that failed band by band, nearly all will do.

    `mask` (L, h, w) is what was seen, `near` what was seen or filled.
    """
    if int(pair.clear.sum()) >= FEW:
        return pair
    return replace(pair, clear=pair.clear | (near.all(0) & (mask.float().mean(0) >= _NEARLY)))
