"""The section `compare` of a recipe: what may stand in it, and which rows it asks for."""

import pytest

from stsfusion.errors import MethodError, ProblemError, RecipeError
from stsfusion.pipeline.comparison import Compare
from stsfusion.pipeline.entrants import entrants
from stsfusion.pipeline.recipe import load_recipe


@pytest.fixture
def load(tmp_path):
    def loaded(text, *assignments):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return load_recipe(path, assignments)[0]

    return loaded


def test_the_shortest_comparison_is_quick_and_of_all(load):
    asked = load("compare: {}\n").compare
    assert (asked.scenes, asked.methods, asked.profile, asked.side) == (("indian-pines",), "all", "quick", 64)
    assert asked.psfs == ("gaussian:0.5", "gaussian:1", "gaussian:2")
    assert load("compare: {profile: full}\n").compare.side is None


@pytest.mark.parametrize(("crop", "ratio", "side"), [(30, 4, 28), (8, 5, 10), (64, 4, 64), (50, 3, 48)])
def test_the_side_is_a_multiple_of_the_ratio(crop, ratio, side):
    assert Compare(crop=crop, ratio=ratio, profile="full").side == side


def test_what_is_said_reaches_the_protocol(load):
    said = "compare: {ratio: 3, shift: 0.5, snr_db: 30.0, blind: false, bands: [B2, B3], seed: 5}\n"
    protocol = load(said).compare.protocol("fwhm:3")
    assert (protocol.ratio, protocol.psf, protocol.shift, protocol.snr_db) == (3, "fwhm:3", 0.5, 30.0)
    assert (protocol.blind, protocol.bands, protocol.seed) == (False, ("B2", "B3"), 5)
    with pytest.raises(ProblemError, match="a real image alone"):
        load(said, "compare.pair=ali").compare.protocol("fwhm:3")


def test_scenes_and_methods_can_be_said_anew(load):
    asked = load(
        "compare: {}\n", "compare.scenes=[a.nc, b.nc]", "compare.methods=[gsa, {name: fuse}]"
    ).compare
    assert asked.scenes == ("a.nc", "b.nc")
    assert asked.methods == ("gsa", {"name": "fuse"})


@pytest.mark.parametrize(
    ("text", "where", "expected"),
    [
        ("compare: {psf: [box]}\n", "line 1: compare.psf", "a known key"),
        ("compare:\n  psfs: [box, gauss]\n", "line 2: compare.psfs.1", "gaussian:SIGMA"),
        ("compare:\n  psfs: ['gaussian:']\n", "line 2: compare.psfs.0", "gaussian:SIGMA"),
        ("compare:\n  psfs: []\n", "line 2: compare.psfs", "at least 1 item"),
        ("compare:\n  psfs: [box, box]\n", "line 2: compare.psfs", "each of them once"),
        ("compare:\n  scenes: [a.nc, a.nc]\n", "line 2: compare.scenes", "each of them once"),
        ("compare:\n  ratio: 1\n", "line 2: compare.ratio", "greater than or equal to 2"),
        ("compare:\n  profile: slow\n", "line 2: compare.profile", "'quick' or 'full'"),
        ("compare:\n  assumed: [estimated]\n", "line 2: compare.assumed.0", "'box', 'gaussian' or 'hysure'"),
        ("compare:\n  methods: [gsa, gsaa]\n", "line 2", "a method's name"),
        (
            "compare:\n  methods:\n  - {name: gsa, rigde: 1}\n",
            "line 3: compare.methods.0.rigde",
            "a known key",
        ),
        ("compare: {}\nfit: {tiles: 4}\n", "line 2: fit", "'report' and 'output' alone beside 'compare'"),
        ("compare: {}\nfuse: {method: gsa}\n", "line 2: fuse", "'report' and 'output' alone"),
    ],
)
def test_a_fault_is_told_with_its_line(load, text, where, expected):
    with pytest.raises(RecipeError) as caught:
        load(text)
    assert where in caught.value.where
    assert expected in caught.value.expected


def labels(**said):
    return [(row.label, row.assumed, row.quick) for row in entrants(Compare(**said))]


def test_methods_with_a_footprint_have_rows_that_assume_one():
    assert labels(methods=("bicubic", "gsa", "usdn"), assumed=("gaussian", "box")) == [
        ("bicubic", "", False),
        ("gsa", "", False),
        ("usdn", "", True),
        ("gsa:psf=gaussian", "gaussian", False),
        ("gsa:psf=box", "box", False),
    ]


def test_a_method_with_a_footprint_of_its_own_has_one_row():
    gsa = {"name": "gsa", "psf": "hysure", "ridge": 0.5}
    assert labels(methods=(gsa, "fuse"), assumed=()) == [
        ("fuse", "", False),
        ("gsa:psf=hysure,ridge=0.5", "hysure", False),
    ]


def test_the_quick_profile_shortens_what_was_not_set():
    hasty = {row.label: row.method for row in entrants(Compare(methods=("gsomp",), assumed=()))}
    whole = {
        row.label: row.method for row in entrants(Compare(methods=("gsomp",), assumed=(), profile="full"))
    }
    assert hasty["gsomp"].rounds < whole["gsomp"].rounds
    (own,) = entrants(Compare(methods=({"name": "gsomp", "rounds": 7},), assumed=()))
    assert (own.method.rounds, own.label, own.quick) == (7, "gsomp:rounds=7", False)


def test_all_are_those_that_need_nothing_else():
    assert {"bicubic", "gsa", "mixreg", "hyconet"} <= {row.label for row in entrants(Compare())}
    assert "stsnet" not in {row.label for row in entrants(Compare())}


def test_two_rows_of_one_name_are_refused():
    with pytest.raises(RecipeError, match="each method once, got 'gsa:psf=gaussian' twice"):
        entrants(Compare(methods=("gsa", {"name": "gsa", "psf": "gaussian"})))
    with pytest.raises(MethodError):
        entrants(Compare(methods=("gsaa",)))
