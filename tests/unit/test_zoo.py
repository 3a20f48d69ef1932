"""The zoo: names by presence, settings checked, clashes told."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from stsfusion import methods
from stsfusion.errors import MethodError
from stsfusion.fusion.method import Card
from stsfusion.fusion.weights import settings_of
from stsfusion.methods.bicubic import Bicubic
from stsfusion.methods.gsa import GSA


@dataclass
class Guest(Bicubic):
    """A method kept elsewhere that holds others."""

    first: Bicubic = field(default_factory=Bicubic)
    """One."""

    others: tuple[Bicubic, ...] = ()
    """More."""

    weights: tuple[tuple[int, ...], ...] = ()
    """Numbers in lists of lists."""

    @property
    def card(self) -> Card:
        return Card(name="guest", title="Guest", source="stsfusion", needs=("rich",), fits="no")


@pytest.mark.parametrize(
    ("setting", "value", "bounds"),
    [
        ("ridge", -1, "0 to 1e\\+06"),
        ("ridge", float("nan"), "0 to"),
        ("passes", 10**9, "0 to 64"),
        ("passes", -1, "0 to"),
    ],
)
def test_settings_have_bounds(setting, value, bounds):
    with pytest.raises(MethodError, match=f"method 'gsa', setting '{setting}': expected {bounds}.*, got "):
        methods.create({"name": "gsa", setting: value})
    assert methods.create({"name": "gsa", "ridge": 0, "passes": 64}) == GSA(ridge=0, passes=64)


@pytest.fixture
def elsewhere(monkeypatch):
    """Says which methods other packages bring."""

    def bring(*points):
        module = ModuleType("guests")
        module.Guest, module.nothing = Guest, 7
        monkeypatch.setitem(sys.modules, "guests", module)
        monkeypatch.setattr(
            methods,
            "entry_points",
            lambda group: [EntryPoint(name, value, group) for name, value in points],
        )

    return bring


def test_every_file_is_a_method():
    assert {"bicubic", "gsa", "lineartime"} <= set(methods.names())
    assert methods.names() == sorted(methods.names())
    assert all(methods.card(name).name == name for name in methods.names())


def test_naming_methods_imports_none():
    said = "import sys; from stsfusion import methods; methods.names(); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert not {f"stsfusion.methods.{name}" for name in methods.names()} & set(ended.stdout.split())


def test_a_name_or_a_mapping_makes_a_method():
    assert methods.create("gsa") == GSA()
    settings = {"name": "gsa", "passes": 1}
    assert methods.create(settings) == GSA(passes=1)
    assert settings == {"name": "gsa", "passes": 1}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("bicubik", "method 'bicubik': expected a method's name.\nDid you mean 'bicubic'"),
        ({"passes": 1}, "method '': expected a method's name"),
        (
            {"name": "gsa", "rigde": 1.0},
            "method 'gsa', setting 'rigde': expected a known key.\nDid you mean 'ridge'",
        ),
        ({"name": "gsa", "_state": {}}, "setting '_state'"),
    ],
)
def test_what_is_not_known_names_the_nearest(asked, message):
    with pytest.raises(MethodError, match=message):
        methods.create(asked)


def test_a_method_from_elsewhere_joins_and_nests(elsewhere):
    elsewhere(("guest", "guests:Guest"))
    assert "guest" in methods.names()
    assert methods.kind("guest") is Guest
    made = methods.create(
        {
            "name": "guest",
            "first": {"name": "bicubic", "passes": 1},
            "others": [{"name": "gsa", "ridge": 0.5}, {"name": "bicubic"}],
            "weights": [[1, 2], [3]],
        }
    )
    assert made == Guest(first=Bicubic(passes=1), others=(GSA(ridge=0.5), Bicubic()), weights=((1, 2), (3,)))
    assert methods.create(settings_of(made)) == made


def test_a_nested_setting_is_checked_too(elsewhere):
    elsewhere(("guest", "guests:Guest"))
    with pytest.raises(MethodError, match="method 'bicubic', setting 'pases'"):
        methods.create({"name": "guest", "first": {"name": "bicubic", "pases": 1}})


@pytest.mark.parametrize(
    ("points", "owners"),
    [
        ([("gsa", "guests:Guest")], "stsfusion and guests:Guest"),
        ([("guest", "guests:Guest"), ("guest", "others:Guest")], "guests:Guest and others:Guest"),
    ],
)
def test_two_methods_of_one_name_clash(elsewhere, points, owners):
    elsewhere(*points)
    with pytest.raises(MethodError, match=f"expected one owner, got {owners}.\nRename"):
        methods.kind(points[0][0])


def test_one_package_listed_twice_is_one_owner(elsewhere):
    elsewhere(("guest", "guests:Guest"), ("guest", "guests:Guest"))
    assert methods.kind("guest") is Guest


def test_what_is_no_method_is_refused(elsewhere):
    elsewhere(("guest", "guests:nothing"))
    with pytest.raises(MethodError, match="'guest' of guests:nothing: expected a FusionMethod class, got 7"):
        methods.kind("guest")


ONE = """
from dataclasses import dataclass
from stsfusion.methods.bicubic import Bicubic
@dataclass
class One(Bicubic): ...
"""


@pytest.mark.parametrize(
    ("source", "found"), [(ONE + "@dataclass\nclass Two(Bicubic): ...\n", "One', 'Two"), ("", r"\[\]")]
)
def test_a_file_holds_exactly_one_method(tmp_path, monkeypatch, source, found):
    (tmp_path / "crowded.py").write_text(source)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "stsfusion.methods.crowded", raising=False)
    assert "crowded" in methods.names()
    with pytest.raises(MethodError, match=f"expected one FusionMethod, got .*{found}"):
        methods.kind("crowded")
    sys.modules.pop("stsfusion.methods.crowded")


def test_a_file_with_one_method_is_found(tmp_path, monkeypatch):
    (tmp_path / "lonely.py").write_text(ONE)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    assert methods.kind("lonely").__name__ == "One"
    sys.modules.pop("stsfusion.methods.lonely")
