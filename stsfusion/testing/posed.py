"""The question that a check poses to a method."""

from __future__ import annotations

from typing import Any

from stsfusion.fusion.examples import tiny_problem_for
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.problem import Problem

__all__ = ["fitted", "tiny"]


def fitted(cls: type[FusionMethod], problem: Problem, **settings: Any) -> FusionMethod:
    """The method by its example's settings, fitted to a problem."""
    return cls.example(**settings).fit([problem.question()])


def tiny(cls: type[FusionMethod], **options: Any) -> Problem:
    """A small problem with all that the method needs and can use."""
    return tiny_problem_for(cls.example().card, **options)
