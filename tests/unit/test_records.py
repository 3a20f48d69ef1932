"""YAML and mappings to frozen records: what is read, what is refused, and where a fault is said to be."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from stsfusion.errors import RecipeError, SensorError
from stsfusion.records import Record, load, override, parse, read_text, read_yaml


class Window(Record):
    size: int = Field(default=51, gt=0)
    kind: Literal["box", "gaussian"] = "box"


class Fuse(Record):
    tile: int
    budget: float = 4.0
    method: Window | str = "gsa"
    parts: tuple[Window, ...] = ()
    named: dict[str, Window] = {}
    resume: bool = True
    output: Path = Path("out")


class Recipe(Record):
    title: str
    fuse: Fuse


GOOD = """\
title: a recipe
fuse:
  tile: 384
  budget: 4
  parts:
    - {size: 3}
    - size: 5
  output: demo-out
"""


def file(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_becomes_a_frozen_record(tmp_path):
    recipe = load(file(tmp_path, GOOD), Recipe)
    assert recipe.fuse.parts == (Window(size=3), Window(size=5))
    assert recipe.fuse.budget == 4.0
    assert recipe.fuse.output == Path("demo-out")
    with pytest.raises(ValidationError, match="frozen"):
        recipe.title = "another"


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("tile: 384", "tiel: 384", 3, "fuse.tiel.*Did you mean 'tile'"),
        ("  tile: 384\n", "", 2, "fuse.tile: expected the key 'tile', got nothing"),
        ("tile: 384", "tile: many", 3, "fuse.tile: expected a valid integer, got 'many'"),
        ("tile: 384", "tile: '384'", 3, "fuse.tile: expected a valid integer, got '384'"),
        ("tile: 384", "tile: true", 3, "fuse.tile: expected a valid integer, got True"),
        ("tile: 384", "tile: 38.4", 3, "fuse.tile: expected a valid integer"),
        ("budget: 4", "budget: .nan", 4, "fuse.budget: expected a finite number"),
        ("- size: 5", "- size: 0", 7, "fuse.parts.1.size: expected greater than 0|Input"),
        ("- size: 5", "- sise: 5", 7, "fuse.parts.1.sise.*Did you mean 'size'"),
        ("title: a recipe", "title: [a]", 1, "title: expected a valid string"),
    ],
)
def test_faults_carry_file_line_and_key(tmp_path, old, new, line, said):
    path = file(tmp_path, GOOD.replace(old, new))
    with pytest.raises(RecipeError, match=f"(?s)recipe.yaml, line {line}: .*{said.split('.*')[0]}") as caught:
        load(path, Recipe)
    for word in said.split(".*")[1:]:
        assert word in str(caught.value)


def test_unknown_keys_are_found_inside_unions_and_mappings():
    for fuse in ({"method": {"sise": 3}}, {"named": {"a": {"sise": 3}}}):
        with pytest.raises(RecipeError, match="Did you mean 'size'"):
            parse({"title": "t", "fuse": {"tile": 1, **fuse}}, Recipe, where="notebook")


def test_further_faults_are_counted():
    with pytest.raises(RecipeError, match=r"notebook: title[\s\S]*one more fault"):
        parse({"title": 3, "fuse": {"tile": "x"}}, Recipe, where="notebook")


def test_the_callers_own_error_is_raised(tmp_path):
    with pytest.raises(SensorError, match="no such file"):
        load(tmp_path / "none.yaml", Recipe, error=SensorError)
    with pytest.raises(SensorError, match="keys and values"):
        load(file(tmp_path, "- 1\n"), Recipe, error=SensorError)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "each key once, got 'a' again \\(line 1\\)"),
        ("a: 1\nb: !!python/object/apply:os.system ['true']\n", 2, "plain data, got the tag"),
        ("a: !important 1\n", 1, "plain data, got the tag"),
        ("a: &x 1\nb: *x\n", 1, "plain data, got the anchor"),
        ("a: *x\n", 1, "plain data, got the anchor or alias 'x'"),
        ("? [1, 2]\n: 3\n", 1, "a plain word as key"),
        ("a: 1\n---\nb: 2\n", 2, "one document"),
        ("a: [1, 2\n", 2, "YAML"),
        ("a: " + "[" * 5000, 1, "at most 32 levels"),
        ("a:\n\t- 1\n", 2, "YAML"),
        ("a: 1\nb: " + "9" * 5000, 2, "at most 100 digits, got 5000"),
        ("a: [-" + "9" * 100 + "]", 1, "at most 100 digits, got 101"),
    ],
)
def test_only_plain_data_is_read(text, line, said):
    start = time.perf_counter()
    with pytest.raises(RecipeError, match=f"text, line {line}.*{said}"):
        read_text(text)
    assert time.perf_counter() - start < 5


def test_an_alias_bomb_is_refused_at_its_first_anchor(tmp_path):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{c}: &{c} [{', '.join([f'*{b}'] * 9)}]" for b, c in zip("abcdefgh", "bcdefghi", strict=True)]
    with pytest.raises(RecipeError, match=r"line 1: .*anchor"):
        read_yaml(file(tmp_path, "\n".join(lines)))


def test_large_files_and_other_encodings_are_refused(tmp_path):
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(RecipeError, match="at most 1048576 bytes"):
        read_yaml(path)
    path.write_bytes("a: é".encode("latin-1"))
    with pytest.raises(RecipeError, match="UTF-8"):
        read_yaml(path)
    path.write_bytes("\ufeffa: é".encode())
    assert read_yaml(path).data == {"a": "é"}


def test_scalars_follow_yaml_1_2():
    text = "[no, on, 12:30, 1e-3, 010, 2021-12-13, ~, true, -4, 1., .5, '3', .inf, '']"
    assert read_text(text).data == [
        "no", "on", "12:30", 1e-3, 10, "2021-12-13", None, True, -4, 1.0, 0.5, "3", float("inf"), "",
    ]  # fmt: skip


def test_places_name_every_value(tmp_path):
    document = read_yaml(file(tmp_path, GOOD))
    assert document.where(("fuse", "parts", 1, "size")).endswith("recipe.yaml, line 7: fuse.parts.1.size")
    assert document.where(("fuse", "absent")).endswith("recipe.yaml, line 2: fuse.absent")


def test_overrides_win_and_are_named_in_faults(tmp_path):
    path = file(tmp_path, GOOD)
    recipe = load(path, Recipe, assignments=["fuse.tile=96", "fuse.method={size: 7}", "title=x = y"])
    assert (recipe.fuse.tile, recipe.fuse.method, recipe.title) == (96, Window(size=7), "x = y")
    with pytest.raises(RecipeError, match=r"--set fuse\.tile=few: fuse\.tile: expected a valid integer"):
        load(path, Recipe, assignments=["fuse.tile=few"])


@pytest.mark.parametrize("text", ["- a: 1\n", "some words\n", "5\n", "[]\n", "''\n"])
def test_only_a_mapping_is_overridden(tmp_path, text):
    with pytest.raises(RecipeError, match=r"recipe\.yaml, line 1: expected keys and values, got "):
        load(file(tmp_path, text), Recipe, assignments=["fuse.tile=96"])


def test_nothing_can_be_overridden_too():
    assert read_text("").override(["a.b=1"]).data == {"a": {"b": 1}}


def test_long_numbers_may_be_texts():
    assert read_text(f"'{'9' * 5000}'").data == "9" * 5000


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("ingest.masks.GF6_WFV_E116.7_N37.5_20211216_L1A1120152345", ("ingest", "masks", None)),
        ("ingest.masks.'a.b.c'", ("ingest", "masks", "a.b.c")),
        ('ingest."a.b".c', ("ingest", "a.b", "c")),
        ("a.b1.c", ("a", "b1", "c")),
    ],
)
def test_keys_may_hold_dots(path, keys):
    first, second, third = (key or "GF6_WFV_E116.7_N37.5_20211216_L1A1120152345" for key in keys)
    document = read_text("").override([f"{path}=1"])
    assert document.data == {first: {second: {third: 1}}}
    assert document.where((first, second, third)).startswith(f"text, --set {path}=1")


def test_override_leaves_its_input_alone():
    data = {"a": {"b": 1}}
    assert override(data, ["a.b=2", "c.d=[1, x]"]) == {"a": {"b": 2}, "c": {"d": [1, "x"]}}
    assert data == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("a.b.c=1", "a mapping at 'a.b', got 5"),
        ("l.0=1", "a mapping at 'l', got \\[1\\]"),
        ("a.b", "a.b=c"),
        ("=1", "a.b=c"),
        ("a..b=1", "a.b=c"),
        ("a.b=[1", "YAML"),
        ("a.b=!!int 3", "tag"),
        ("a.b=" + "9" * 5000, "^--set a.b=9{53}…, line 1: expected at most 100 digits"),
    ],
)
def test_bad_overrides_are_refused(assignment, said):
    with pytest.raises(RecipeError, match=said):
        override({"a": {"b": 5}, "l": [1]}, [assignment])


@given(st.dictionaries(st.text("abc", min_size=1), st.integers() | st.booleans() | st.none(), max_size=5))
def test_what_is_written_is_read_back(data):
    text = "\n".join(
        f"{key}: {'null' if value is None else str(value).lower()}" for key, value in data.items()
    )
    assert (read_text(text).data or {}) == data
