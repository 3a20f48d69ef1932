"""The results of a recipe: whose they are, and what of them is done."""

from __future__ import annotations

import json

import pytest

from stsfusion.errors import StoreError
from stsfusion.pipeline.folder import Folder, digest_of


@pytest.fixture
def folder(tmp_path):
    found = Folder(tmp_path / "out", "mine")
    found.claim()
    return found


def test_places_are_where_people_look_for_them(tmp_path):
    found = Folder(tmp_path, "mine")
    names = [
        path.relative_to(tmp_path).as_posix()
        for path in (found.cubes, found.fused, found.scores, found.report)
    ]
    assert names == ["cubes.zarr", "fused.zarr", "scores.json", "report.html"]
    assert {path.parts[len(tmp_path.parts)] for path in (found.ledger, found.plan)} == {".stsfusion"}
    assert found.staging("abcdef0123456789") == tmp_path / ".fused-abcdef012345.zarr"


def test_making_one_touches_nothing(tmp_path):
    assert Folder(tmp_path / "out", "mine").marks() == {}
    assert not (tmp_path / "out").exists()


def test_a_claim_holds_for_the_same_recipe(folder):
    (folder.root / "report.html").write_text("a page")
    folder.claim()
    Folder(folder.root, "mine").claim()


def test_another_recipes_folder_is_refused(folder):
    with pytest.raises(
        StoreError, match=r"a folder of the recipe 'yours', got one of the recipe 'mine'\.\n.*output="
    ):
        Folder(folder.root, "yours").claim()


def test_a_folder_of_someone_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StoreError, match="expected an empty or a new folder"):
        Folder(tmp_path, "mine").claim()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "out").write_text("not a folder")
    with pytest.raises(StoreError, match="expected an empty or a new folder"):
        Folder(tmp_path / "out", "mine").claim()


def test_an_empty_folder_is_taken(tmp_path):
    Folder(tmp_path, "mine").claim()
    with pytest.raises(StoreError, match="'mine'"):
        Folder(tmp_path, "yours").claim()


def test_a_claim_that_was_cut_off_is_made_again(tmp_path):
    (tmp_path / ".stsfusion").mkdir()
    (tmp_path / ".stsfusion" / ".owner.json.new").write_text("{")
    Folder(tmp_path, "mine").claim()
    assert json.loads((tmp_path / ".stsfusion" / "owner.json").read_text()) == {"recipe": "mine"}


def test_a_step_is_done_when_it_says_so_and_its_results_are_there(folder):
    made = folder.root / "fused.zarr"
    assert not folder.is_done("fuse", "abc", [made])
    folder.mark("fuse", "abc", seconds=3.5)
    assert not folder.is_done("fuse", "abc", [made])
    made.mkdir()
    assert folder.is_done("fuse", "abc", [made])
    assert not folder.is_done("fuse", "abd", [made])
    assert not folder.is_done("report", "abc", [made])


def test_marks_are_kept_beside_each_other(folder):
    folder.mark("cubes", "a", seconds=1.0)
    folder.mark("fuse", "b", tiles=9)
    folder.mark("fuse", "c", tiles=4)
    assert folder.marks() == {
        "cubes": {"fingerprint": "a", "seconds": 1.0},
        "fuse": {"fingerprint": "c", "tiles": 4},
    }
    assert sorted(path.name for path in folder.work.iterdir()) == ["owner.json", "steps.json"]


def test_a_mark_that_fails_leaves_the_old_ones(folder):
    folder.mark("cubes", "a")
    with pytest.raises(TypeError, match="serializable"):
        folder.mark("fuse", "b", what=object())
    assert folder.marks() == {"cubes": {"fingerprint": "a"}}


def test_digests_tell_plain_data_apart():
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert len({digest_of(1), digest_of("1"), digest_of(1, 2), digest_of([1, 2]), digest_of()}) == 5
