"""Weights at rest: what was learned comes back to the same settings, and to no others."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, field

import pytest
import torch
from safetensors import safe_open

from stsfusion.errors import MethodError
from stsfusion.fusion.method import Card
from stsfusion.fusion.weights import fingerprint, load_state, save_state, settings_of
from stsfusion.methods.bicubic import Bicubic
from stsfusion.methods.gsa import GSA

STATE = {"weights": torch.rand(2, 3, generator=torch.Generator().manual_seed(0)), "days": torch.arange(2)}


@dataclass
class Pair(Bicubic):
    """A method that holds methods."""

    first: Bicubic = field(default_factory=Bicubic)
    """One."""

    others: tuple[GSA, ...] = (GSA(),)
    """More."""

    @property
    def card(self) -> Card:
        return Card(name="pair", title="Pair", source="stsfusion", needs=("rich",), fits="no")


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "deep" / "weights.safetensors"
    save_state(GSA().with_state(STATE), path)
    return path


def test_what_was_saved_comes_back(saved):
    loaded = load_state(GSA(), saved)
    assert loaded == GSA()
    assert loaded.state.keys() == STATE.keys()
    for name, tensor in STATE.items():
        assert loaded.state[name].dtype == tensor.dtype
        assert torch.equal(loaded.state[name], tensor)
    assert [path.name for path in saved.parent.iterdir()] == ["weights.safetensors"]


def test_names_that_share_their_numbers_are_saved(tmp_path):
    numbers = torch.rand(4, 3)
    state = {"one": numbers, "other": numbers, "part": numbers[1:, :2]}
    save_state(GSA().with_state(state), tmp_path / "shared")
    loaded = load_state(GSA(), tmp_path / "shared").state
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


def test_the_settings_are_in_the_header(saved):
    with safe_open(saved, framework="pt") as file:
        assert json.loads(file.metadata()["settings"]) == {
            "name": "gsa",
            "passes": 2,
            "psf": "estimated",
            "ridge": 1e-6,
        }


def test_equal_weights_are_equal_bytes(saved, tmp_path):
    save_state(GSA().with_state(dict(reversed(STATE.items()))), tmp_path / "other")
    assert saved.read_bytes() == (tmp_path / "other").read_bytes()


def test_a_method_that_learned_nothing_is_saved_too(tmp_path):
    save_state(Bicubic(), tmp_path / "empty.safetensors")
    assert not load_state(Bicubic(), tmp_path / "empty.safetensors").state


@pytest.mark.parametrize("asked", [GSA(passes=1), GSA(ridge=1e-5), Bicubic()])
def test_other_settings_are_refused(saved, asked):
    with pytest.raises(MethodError, match=r"(?s)expected settings .*got .*\nFit the method again"):
        load_state(asked, saved)


def test_weights_without_settings_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"weights": torch.ones(1)}, tmp_path / "bare")
    with pytest.raises(MethodError, match="got none"):
        load_state(GSA(), tmp_path / "bare")


@pytest.mark.parametrize("harm", [lambda b: b[:20], lambda b: b"\xff" * 40 + b[40:], lambda b: b""])
def test_a_damaged_file_is_refused(saved, harm):
    saved.write_bytes(harm(saved.read_bytes()))
    with pytest.raises(MethodError, match="expected a safetensors file"):
        load_state(GSA(), saved)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MethodError, match=r"weights .*nowhere.*expected a safetensors file"):
        load_state(GSA(), tmp_path / "nowhere.safetensors")


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_pickle_is_refused_and_never_run(tmp_path, how):
    path, mark = tmp_path / "weights.safetensors", tmp_path / "ran"
    if how == "pickle":
        path.write_bytes(pickle.dumps(Trap(mark)))
    else:
        torch.save({"weights": Trap(mark)}, path)
    with pytest.raises(MethodError, match="expected a safetensors file"):
        load_state(GSA(), path)
    assert not mark.exists()


def test_the_fingerprint_tells_settings_and_every_number():
    prints = {
        fingerprint(GSA()),
        fingerprint(GSA(passes=1)),
        fingerprint(GSA().with_state(STATE)),
        fingerprint(GSA().with_state({**STATE, "days": STATE["days"].int()})),
        fingerprint(GSA().with_state({**STATE, "weights": STATE["weights"].reshape(3, 2)})),
        fingerprint(GSA().with_state({**STATE, "weights": STATE["weights"] + 1e-7})),
        fingerprint(GSA().with_state({"weight": STATE["weights"], "days": STATE["days"]})),
        fingerprint(Bicubic()),
    }
    assert len(prints) == 8
    assert fingerprint(GSA().with_state(dict(reversed(STATE.items())))) in prints


def test_settings_nest():
    assert settings_of(Pair(first=Bicubic(passes=1))) == {
        "name": "pair",
        "passes": 2,
        "first": {"name": "bicubic", "passes": 1},
        "others": [{"name": "gsa", "psf": "estimated", "ridge": 1e-6, "passes": 2}],
    }
