"""Settings of dataclasses as strict records, for methods and protocols alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from pydantic import ValidationError

from stsfusion import methods
from stsfusion.errors import RecipeError
from stsfusion.forward.protocol import Protocol
from stsfusion.fusion.method import FusionMethod
from stsfusion.fusion.weights import settings_of
from stsfusion.methods.bicubic import Bicubic
from stsfusion.pipeline.settings import (
    check_method_settings,
    method_from,
    method_schema,
    part_of,
    record_of,
)
from stsfusion.records import Document, read_text
from stsfusion.sensing.sensor import Sensor


@dataclass
class Chain(Bicubic):
    """Holds methods, and what a file cannot hold."""

    first: FusionMethod = field(default_factory=Bicubic)
    """A method."""

    sensor: str | Sensor | None = None
    """A record, or its name."""

    sizes: tuple[int, ...] = (1, 3)
    """Numbers."""

    shares: Mapping[str, float] = field(default_factory=dict)
    """Names and numbers."""

    hidden: int = field(default=0, init=False)
    """No setting."""


@pytest.fixture
def chain(monkeypatch):
    kinds, names = methods.kind, methods.names
    monkeypatch.setattr(methods, "kind", lambda name: Chain if name == "chain" else kinds(name))
    monkeypatch.setattr(methods, "names", lambda: [*names(), "chain"])


def test_fields_types_and_defaults_are_the_dataclasses():
    record = record_of(Chain)
    assert list(record.model_fields) == ["passes", "first", "sensor", "sizes", "shares"]
    made = record(passes=3, sizes=[1, 5])
    assert (made.passes, made.sizes, made.sensor, dict(made.shares)) == (3, (1, 5), None, {})
    assert record(first="gsa").first == "gsa"
    assert record(first={"name": "gsa"}).first == {"name": "gsa"}


@pytest.mark.parametrize(
    "wrong", [{"pases": 1}, {"passes": "many"}, {"sizes": ["a"]}, {"hidden": 1}, {"sensor": 3.5}]
)
def test_what_is_no_setting_is_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        record_of(Chain)(**wrong)


def test_a_record_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        record_of(Chain)().passes = 3


def test_a_field_without_default_is_asked_for():
    @dataclass
    class Bare:
        size: int

    with pytest.raises(ValidationError, match="size"):
        record_of(Bare)()


def test_further_fields_come_with_it():
    with pytest.raises(ValidationError, match="name"):
        record_of(Chain, name=(str, ...))()


def test_a_protocol_is_a_record_too():
    given = record_of(Protocol)(rich_ratio=4, rich_dates=[0, 2], clouds={"rich": 0.2})
    assert Protocol(**given.model_dump()) == Protocol(rich_ratio=4, rich_dates=(0, 2), clouds={"rich": 0.2})
    assert Protocol(**record_of(Protocol)().model_dump()) == Protocol()


NESTED = """\
name: chain
passes: 1
first:
  name: gsa
  ridge: 0.5
"""


def test_nested_settings_are_checked(chain):
    check_method_settings(read_text(NESTED, "mine.yaml"))
    with pytest.raises(RecipeError, match=r"mine.yaml, line 5: first.rigde: .*\nDid you mean 'ridge'"):
        check_method_settings(read_text(NESTED.replace("ridge", "rigde"), "mine.yaml"))
    with pytest.raises(RecipeError, match=r"mine.yaml, line 4: first.name: .*\nDid you mean 'gsa'"):
        check_method_settings(read_text(NESTED.replace("gsa", "gsaa"), "mine.yaml"))


def test_a_part_keeps_its_places():
    whole = read_text("fuse:\n  method:\n    name: gsa\n    ridge: 1\n", "mine.yaml")
    part = part_of(whole, ("fuse", "method"))
    assert part.data == {"name": "gsa", "ridge": 1}
    assert part.where(("ridge",)) == "mine.yaml, line 4: fuse.method.ridge"
    assert part_of(whole, ("fuse", "method", "name")).data == "gsa"


def test_a_bare_name_is_enough():
    check_method_settings(Document("here", "gsa"))
    with pytest.raises(RecipeError, match="here: name: expected a method's name, got 'x'"):
        check_method_settings(Document("here", "x"))


def test_what_was_checked_makes_the_method():
    assert method_from({"name": "bicubic", "passes": 1}) == Bicubic(passes=1)


def test_the_schema_has_one_entry_a_method():
    assert [each["properties"]["name"]["const"] for each in method_schema()] == methods.names()


@pytest.mark.parametrize("name", methods.names())
def test_defaults_of_every_method_pass_their_own_check(name):
    example = methods.kind(name).example()
    plain = {key: value for key, value in settings_of(example).items() if key != "name"}
    record_of(type(example))(**plain)
    assert method_from(name) == methods.kind(name)()
