"""Spatio-temporal benchmark: methods on real fine and coarse series, one date hidden: `bench stf`.

::

    series.nc ─ hide a fine image ─► stage ─ contest ─► rows
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stsfusion.errors import MethodError
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Role
from stsfusion.methods import create
from stsfusion.pipeline.benchmark import told
from stsfusion.pipeline.contest import Watch, contest, default_cache, unwatched
from stsfusion.pipeline.quick import expanded
from stsfusion.pipeline.shorthand import settings_from
from stsfusion.pipeline.stfscene import read_fine_and_coarse
from stsfusion.pipeline.stfstage import StfStage

__all__ = ["bench_stf"]

_GIVEN: tuple[Role, ...] = ("sharp", "dense")


def bench_stf(
    series_path: str | Path,
    predict: int,
    methods: Sequence[str] = ("all",),
    coarse: str = "modis",
    json_path: str | Path | None = None,
    cache_dir: str | Path | None = None,
    progress: Watch = unwatched,
) -> dict[str, Any]:
    """Score methods that predict a fine image from coarse ones and from fine ones of other dates.

    Parameters
    ----------
    series_path
        NetCDF file, see `read_fine_and_coarse`.
    predict
        Index of the date whose fine image is hidden.
    methods
        Names, with settings as in `shorthand`; 'all': every method that needs nothing else.
    coarse
        Variable of the coarse series.
    json_path
        Where the result is written, anew after every method; None: nowhere.
    cache_dir
        Folder of rows that are done, see `contest`; None: `default_cache()`.

    Returns
    -------
    dict
        `protocol`, `rows` (a row a method, `subset` 'missing') and `per_date`, all of it plain JSON.

    Raises
    ------
    CubeError, MethodError
        Before any work, when series or methods cannot be used.
    """
    entrants = {text: _able(create(settings_from(text))) for text in expanded(methods, _GIVEN)}
    stage = StfStage(read_fine_and_coarse(series_path, coarse), predict, coarse)
    cache = default_cache() if cache_dir is None else Path(cache_dir)
    return told(stage.said, contest(stage, entrants, cache, progress), json_path)


def _able(method: FusionMethod) -> FusionMethod:
    """The method, if it needs nothing that is not there."""
    card = method.card
    if not set(card.needs) <= set(_GIVEN):
        raise MethodError(
            f"method '{card.name}'",
            expected="one that needs no more than sharp and dense",
            got=f"one that needs {' and '.join(card.needs)}",
            mend="`stsfusion methods` shows what each needs; 'all' stands for those that can.",
        )
    return method
