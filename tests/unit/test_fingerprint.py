"""Fingerprints tell apart what differs, and only that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stsfusion.methods import create
from stsfusion.pipeline.fingerprint import _code, fingerprint, fingerprint_of_code
from stsfusion.window import Window


def test_equal_things_agree():
    assert fingerprint({"a": 1, "b": torch.ones(2)}) == fingerprint({"b": torch.ones(2), "a": 1})
    assert fingerprint(torch.arange(3)) == fingerprint(np.arange(3))


@pytest.mark.parametrize(
    "one, other",
    [
        (torch.zeros(2, 3), torch.zeros(3, 2)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        (["ab", "c"], ["a", "bc"]),
        ([["a"], "b"], ["a", ["b"]]),
        (1, "1"),
        (None, "None"),
        (Window((0, 1), (0, 2), (0, 3)), Window((0, 1), (0, 2), (0, 4))),
    ],
)
def test_different_things_differ(one, other):
    assert fingerprint(one) != fingerprint(other)


def test_what_cannot_be_read_is_refused():
    with pytest.raises(TypeError, match="no fingerprint"):
        fingerprint(object())


def test_comments_and_docstrings_do_not_count(tmp_path):
    plain, told, other = (tmp_path / f"{name}.py" for name in ("plain", "told", "other"))
    plain.write_text("def f(x):\n    return x + 1\n")
    told.write_text('"""What."""\n# why\ndef f(x):\n    """Docstring."""\n    return (x\n        + 1)\n')
    other.write_text("def f(x):\n    return x + 2\n")
    assert _code(plain) == _code(told)
    assert _code(plain) != _code(other)


def test_methods_have_code_of_their_own():
    bicubic, gsa = create("bicubic"), create("gsa")
    assert fingerprint_of_code(bicubic) != fingerprint_of_code(gsa)
    assert fingerprint_of_code(gsa) == fingerprint_of_code(replace(gsa, ridge=0.5))
