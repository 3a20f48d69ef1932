"""Records of tensors, into a state and back."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from stsfusion.errors import MethodError
from stsfusion.learning.kept import Kept, joined, under


@dataclass(frozen=True, eq=False)
class Line(Kept):
    """A slope and an offset."""

    slope: Tensor
    """(p,)."""

    offset: Tensor
    """()."""


def line(level):
    return Line(torch.arange(3.0) + level, torch.tensor(float(level)))


def test_a_record_comes_back_as_it_went():
    own = line(2)
    assert list(own.tensors()) == ["slope", "offset"]
    back = Line.of(own.tensors())
    assert back.slope is own.slope
    assert back.offset is own.offset


def test_what_is_lacking_is_named_and_what_is_more_is_left_alone():
    with pytest.raises(
        MethodError, match=r"(?s)its part Line: expected slope, offset, got no offset.*--refit"
    ):
        Line.of({"slope": torch.zeros(3)})
    assert float(Line.of(line(1).tensors() | {"other": torch.zeros(1)}).offset) == 1.0


def test_several_records_lie_in_one_state_without_touching():
    parts = {"a": line(1), "ab": line(2), "a.b": line(3)}
    state = joined(parts)
    assert len(state) == 6
    assert state["ab.offset"] is parts["ab"].offset
    assert under(state, "ab").keys() == {"slope", "offset"}
    assert Line.of(under(state, "ab")).offset is parts["ab"].offset
    assert Line.of(under(state, "a")).offset is parts["a"].offset
    assert Line.of(under(under(state, "a"), "b")).offset is parts["a.b"].offset
    assert under(state, "b") == {}


def test_records_lie_in_records():
    inner = joined({"in": line(4)})
    state = {f"out.{name}": tensor for name, tensor in inner.items()}
    assert float(Line.of(under(under(state, "out"), "in")).offset) == 4.0
