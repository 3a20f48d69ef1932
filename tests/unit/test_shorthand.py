"""Methods and settings in one line of text."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from stsfusion.errors import MethodError
from stsfusion.pipeline import shorthand
from stsfusion.pipeline.shorthand import settings_from, split, text_of


@dataclass
class Likely:
    """Fields of every kind."""

    steps: int = 1
    rate: float = 0.1
    kernels: tuple[int, ...] = (1,)
    label: str = ""
    layers: bool = True
    limit: float | None = 2.0


@pytest.fixture
def likely(monkeypatch):
    monkeypatch.setattr(shorthand, "kind", lambda name: Likely)


@pytest.mark.parametrize(
    "text, pieces",
    [
        ("bicubic,gsa", ["bicubic", "gsa"]),
        ("stsnet:steps=2,kernels=1/3,gsa", ["stsnet:steps=2,kernels=1/3", "gsa"]),
        ("stsnet:a=1, stsnet:a=2,b=3 ,", ["stsnet:a=1", "stsnet:a=2,b=3"]),
        ('{"name": "chain", "first": {"name": "gsa", "ridge": 1}},gsa', None),
        ("coarsedelta+gsa,bicubic", ["coarsedelta+gsa", "bicubic"]),
        (
            "efast:sigma=2,passes=1+gsa:ridge=1,passes=3,gsa",
            ["efast:sigma=2,passes=1+gsa:ridge=1,passes=3", "gsa"],
        ),
        ("", []),
    ],
)
def test_split(text, pieces):
    wanted = [text.removesuffix(",gsa"), "gsa"] if pieces is None else pieces
    assert split(text) == wanted


@pytest.mark.parametrize(
    "setting, value",
    [
        ("steps=200", 200),
        ("rate=1e-3", 1e-3),
        ("kernels=1/3/5", (1, 3, 5)),
        ("kernels=3", (3,)),
        ("label=1/3", "1/3"),
        ("layers=false", False),
        ("limit=none", None),
        (" limit = 0.5", 0.5),
    ],
)
def test_values_become_what_their_field_is(likely, setting, value):
    read = settings_from(f"likely:{setting}")[setting.partition("=")[0].strip()]
    assert read == value
    assert type(read) is type(value)


def test_a_value_that_does_not_fit_is_refused(likely):
    with pytest.raises(MethodError, match=r"'likely', setting 'steps': .*got 'many'"):
        settings_from("likely:steps=many")
    with pytest.raises(MethodError, match="expected settings as key=value, got 'fast'"):
        settings_from("likely:fast")


def test_what_was_expected_is_said_in_words():
    with pytest.raises(MethodError, match=r"expected 'estimated', 'box', .* or 'given', got 'weird'"):
        settings_from("gsa:psf=weird")
    with pytest.raises(MethodError, match=r"'mtf': expected a valid number, got 'x'"):
        settings_from("glphs:mtf=x")


def test_plain_names_and_json():
    assert settings_from("bicubic") == {"name": "bicubic"}
    assert settings_from('{"name": "gsa", "ridge": 0.1}') == {"name": "gsa", "ridge": 0.1}
    with pytest.raises(MethodError, match="expected JSON"):
        settings_from('{"name": gsa}')
    with pytest.raises(MethodError, match="Did you mean 'bicubic'"):
        settings_from("bicubik:a=1")


CHAINS = {
    "coarsedelta+gsa": {"name": "chain", "first": {"name": "coarsedelta"}, "then": {"name": "gsa"}},
    "coarsedelta:passes=1+gsa:ridge=1e+3,passes=3": {
        "name": "chain",
        "first": {"name": "coarsedelta", "passes": 1},
        "then": {"name": "gsa", "ridge": 1e3, "passes": 3},
    },
    "chain:first=coarsedelta": {"name": "chain", "first": {"name": "coarsedelta"}},
}


@pytest.mark.parametrize("text", CHAINS)
def test_a_plus_makes_a_chain(text):
    assert settings_from(text) == CHAINS[text]


def test_a_chain_has_two_methods():
    with pytest.raises(MethodError, match=r"expected two methods, as in estarfm\+cnmf, got 3"):
        settings_from("coarsedelta+gsa+cnmf")
    with pytest.raises(MethodError, match="Did you mean 'coarsedelta'"):
        settings_from("coarsedelt+gsa")


@pytest.mark.parametrize(
    "text", ["bicubic", "gsa:ridge=0.5", "stsnet:kernels=1/3,width=8", *list(CHAINS)[:1]]
)
def test_text_and_settings_are_each_others(text):
    assert text_of(settings_from(text)) == text
    assert text_of(text) == text
