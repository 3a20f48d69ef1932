"""Fingerprints tell apart what differs, and only that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stsfusion.methods import create
from stsfusion.pipeline.fingerprint import _reached, fingerprint, fingerprint_of_code
from stsfusion.pipeline.source import code_in
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
    assert code_in(plain) == code_in(told)
    assert code_in(plain) != code_in(other)


def test_methods_have_code_of_their_own():
    bicubic, gsa = create("bicubic"), create("gsa")
    assert fingerprint_of_code(bicubic) != fingerprint_of_code(gsa)
    assert fingerprint_of_code(gsa) == fingerprint_of_code(replace(gsa, ridge=0.5))


def _package(root):
    """A package in which `one` reaches `blur` through `base`, and nobody reaches `other`."""
    files = {
        "methods/one.py": "from stsfusion.learning.base import Base\nimport numpy\n",
        "learning/base.py": "import stsfusion.errors\ndef f():\n    from stsfusion.operators import blur\n",
        "learning/other.py": "",
        "operators/__init__.py": "",
        "operators/blur.py": "from stsfusion.learning.base import f\n",
        "errors.py": "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_code_is_what_is_reached_by_imports_and_makes_numbers(tmp_path):
    root = _package(tmp_path / "stsfusion")
    found = {path.relative_to(root).as_posix() for path in _reached({root / "methods" / "one.py"}, root)}
    assert found == {"methods/one.py", "learning/base.py", "operators/__init__.py", "operators/blur.py"}


def test_a_method_reaches_what_it_is_made_of():
    import stsfusion
    from stsfusion.methods import gsa

    root = Path(stsfusion.__file__).parent
    found = {path.relative_to(root).as_posix() for path in _reached({Path(gsa.__file__)}, root)}
    assert {"methods/gsa.py", "fusion/method.py", "operators/blur.py", "learning/intensity.py"} <= found
    assert "methods/stsnet.py" not in found
