"""The questions that checks pose to a method, and the method that has learned to answer them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from stsfusion.fusion.examples import tiny_problem_for
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Problem

__all__ = ["LARGE", "fitted", "lesson", "tiny"]

LARGE: dict[str, Any] = {"size": 96, "ratios": (3, 2), "gaps": True}
"""Room for nine tiles and more, with gaps."""


def fitted(cls: type[FusionMethod], problem: Problem, **settings: Any) -> FusionMethod:
    """The method by its example's settings, fitted to a problem."""
    return cls.example(**settings).fit([problem.question()])


def tiny(cls: type[FusionMethod], **options: Any) -> Problem:
    """A small problem with all that the method needs and can use."""
    return tiny_problem_for(cls.example().card, **options)


def lesson(cls: type[FusionMethod], **options: Any) -> tuple[FusionMethod, Problem]:
    """A small problem, and the method fitted to it: once for all checks, as another fit learns the same.

    That it does is what `purity` checks, by fits of its own.
    """
    return _learned(cls, **options), tiny(cls, **options)


@lru_cache(maxsize=4)
def _learned(cls: type[FusionMethod], **options: Any) -> FusionMethod:
    return fitted(cls, tiny(cls, **options))
