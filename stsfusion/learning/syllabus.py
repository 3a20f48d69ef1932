"""Syllabus: what an exercise teaches: its lessons, the cells held back from them, and the exams on those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stsfusion.fusion.method import Geometry
from stsfusion.fusion.problem import Observation, Problem, Role
from stsfusion.learning.holding import exam_of, held_cells, side_of
from stsfusion.learning.lessons import Exercise, scale_of
from stsfusion.learning.patches import Label, Lesson
from stsfusion.learning.units import Units

__all__ = ["exams_of", "lessons_of"]

_SHOWN = 0.3
"""Weight of a date that could be looked at, against one that was hidden."""

_EXAMS = 12
"""Windows of one exam, about."""


def lessons_of(exercise: Exercise, tensors: list[Tensor], units: Units, holding: bool) -> list[Lesson]:
    """One a tile; with labels that say nothing of the cells that are held back, if any are."""
    lessons = _whole_lessons(exercise, tensors, units)
    if not holding:
        return lessons
    return [lesson.veiled(_held(lesson, exercise)) for lesson in lessons]


def _whole_lessons(exercise: Exercise, tensors: list[Tensor], units: Units) -> list[Lesson]:
    found = []
    for problem, x, labels in zip(exercise.problems, tensors, exercise.labels, strict=True):
        made = {role: _label(role, o, units, exercise.hidden) for role, o in labels.items()}
        found.append(Lesson(x, made, exercise.hidden, _multiple(problem, labels)))
    return found


def _held(lesson: Lesson, exercise: Exercise) -> Tensor:
    rows, cols = lesson.features.shape[2:]
    return held_cells(rows, cols, _side(exercise))


def _side(exercise: Exercise) -> int:
    """Pixels along one side of a cell at the exercise's scale: the same ground at both."""
    problem = exercise.problems[0]
    scale, multiple = scale_of(problem), Geometry.of(problem).multiple
    whole = side_of(scale * multiple)
    return whole // scale if exercise.shifted else whole


def exams_of(asked: Sequence[tuple[Exercise, list[Tensor]]], units: Units, patch: int) -> list[Lesson]:
    """Hidden dates between others at the true scale, where there are any; else the scale shift.

    Each is asked for in the cells that are held back alone, see `holding`.
    """
    between = [pair for pair in asked if not pair[0].shifted and pair[0].lies_between()]
    chosen = between or [pair for pair in asked if pair[0].shifted and not pair[0].hidden]
    lessons = [
        (exercise, lesson)
        for exercise, tensors in chosen
        for lesson in _whole_lessons(exercise, tensors, units)
    ]
    most = max(_EXAMS // len(lessons), 1)
    found = []
    for exercise, lesson in lessons:
        for window in exam_of(lesson, _side(exercise), patch, most):
            label = window.labels["rich"].only(exercise.hidden or window.labels["rich"].dates)
            found.append(replace(window, labels={"rich": label}))
    return [window for window in found if bool((window.labels["rich"].weight > 0).any())]


def _multiple(problem: Problem, labels: Mapping[Role, Observation]) -> int:
    return Geometry.of(problem).multiple


def _label(role: Role, observation: Observation, units: Units, hidden: tuple[int, ...]) -> Label:
    """An observation in the network's units; what could be looked at counts less than what was hidden."""
    if role == "rich":
        data, usable = units.subspace.project(observation.data, observation.valid)
    else:
        valid = observation.valid.expand(observation.data.shape[0], -1, *observation.data.shape[2:])
        scale = units.scaling.of_dense if role == "dense" else units.scaling.of_sharp
        data, usable = torch.where(valid, scale(observation.data), 0.0), valid.all(1, keepdim=True)
    dates = tuple(observation.dates)
    share = [1.0 if not hidden or date in hidden or role == "dense" else _SHOWN for date in dates]
    weight = usable.float() * torch.tensor(share).to(data)[:, None, None, None]
    return Label(data, weight, dates, observation.view.spatial)
