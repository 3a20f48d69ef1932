"""The results of a recipe: whose they are, and what of them is done."""

from __future__ import annotations

import errno
import json
import os

import pytest

from stsfusion.errors import StoreError
from stsfusion.pipeline.folder import Folder


def folder_of(root, name):
    return Folder(root, name, root.parent / f"{name}.yaml")


def take(found):
    found.admit()
    return found.claim()


@pytest.fixture
def folder(tmp_path):
    found = folder_of(tmp_path / "out", "mine")
    assert take(found)
    return found


def test_places_are_where_people_look_for_them(tmp_path):
    found = folder_of(tmp_path, "mine")
    names = [
        path.relative_to(tmp_path).as_posix()
        for path in (found.cubes, found.fused, found.scores, found.report)
    ]
    assert names == ["cubes.zarr", "fused.zarr", "scores.json", "report.html"]
    assert {path.parts[len(tmp_path.parts)] for path in (found.ledger, found.plan)} == {".stsfusion"}
    assert found.staging("abcdef0123456789") == tmp_path / ".fused-abcdef012345.zarr"


def test_making_one_touches_nothing(tmp_path):
    assert folder_of(tmp_path / "out", "mine").marks() == {}
    assert not (tmp_path / "out").exists()


def test_a_claim_holds_for_the_same_recipe(folder):
    (folder.root / "report.html").write_text("a page")
    assert not take(folder)
    assert not take(folder_of(folder.root, "mine"))


def test_another_recipes_folder_is_refused(folder):
    with pytest.raises(
        StoreError, match=r"a folder of the recipe 'yours' .*, got one of the recipe 'mine' .*\.\n.*output="
    ):
        take(folder_of(folder.root, "yours"))


def test_a_folder_of_someone_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StoreError, match="expected an empty or a new folder"):
        take(folder_of(tmp_path, "mine"))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "out").write_text("not a folder")
    with pytest.raises(StoreError, match="expected an empty or a new folder"):
        take(folder_of(tmp_path / "out", "mine"))


def test_an_empty_folder_is_taken(tmp_path):
    take(folder_of(tmp_path, "mine"))
    with pytest.raises(StoreError, match="'mine'"):
        take(folder_of(tmp_path, "yours"))


def test_a_claim_that_was_cut_off_is_made_again(tmp_path):
    (tmp_path / ".stsfusion").mkdir()
    (tmp_path / ".stsfusion" / ".owner.json.new").write_text("{")
    take(folder_of(tmp_path, "mine"))
    assert json.loads((tmp_path / ".stsfusion" / "owner.json").read_text())["recipe"] == "mine"


def test_a_recipe_of_the_same_name_from_elsewhere_is_another(folder, tmp_path):
    other = Folder(folder.root, "mine", tmp_path / "elsewhere" / "mine.yaml")
    with pytest.raises(StoreError, match="elsewhere"):
        other.admit()


def test_folder_and_recipe_may_be_moved_together(tmp_path):
    before = folder_of(tmp_path / "here" / "out", "mine")
    take(before)
    (tmp_path / "here").rename(tmp_path / "there")
    assert not take(folder_of(tmp_path / "there" / "out", "mine"))


def test_a_damaged_owner_is_refused_in_words(folder):
    (folder.work / "owner.json").write_text("")
    with pytest.raises(StoreError, match=r"a damaged file(.|\n)*write \{") as caught:
        folder.admit()
    assert "Remove" not in caught.value.mend, "a series may lie there"
    words = caught.value.mend
    (folder.work / "owner.json").write_text(words[words.index("{") : words.index("}") + 1])
    folder.admit()


def test_a_step_is_done_when_it_says_so_and_its_results_are_whole(folder):
    made = folder.root / "fused.zarr"
    made.mkdir()
    (made / "a").write_text("123")
    assert not folder.is_done("fuse", "abc", [made])
    folder.mark("fuse", "abc", [made], seconds=3.5)
    assert folder.is_done("fuse", "abc", [made])
    assert not folder.is_done("fuse", "abd", [made])
    assert not folder.is_done("report", "abc", [made])
    (made / "a").write_text("12")
    assert not folder.is_done("fuse", "abc", [made])


def test_a_step_takes_those_after_it_along_when_it_is_forgotten(folder):
    for step in ("cubes", "fit", "fuse", "evaluate"):
        folder.mark(step, "a", [])
    folder.unmark("fuse")
    assert set(folder.marks()) == {"cubes", "fit"}


def test_marks_are_kept_beside_each_other(folder):
    folder.mark("cubes", "a", [], seconds=1.0)
    folder.mark("fuse", "b", [], tiles=9)
    folder.mark("fuse", "c", [], tiles=4)
    assert folder.marks() == {
        "cubes": {"fingerprint": "a", "made": [], "seconds": 1.0},
        "fuse": {"fingerprint": "c", "made": [], "tiles": 4},
    }
    assert sorted(path.name for path in folder.work.iterdir()) == ["owner.json", "steps.json"]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"cubes": {"finger', '{"cubes": 5}', '{"cubes": {}}', '{"cubes": {"fingerprint": 7}}']
)
def test_damaged_marks_are_no_marks(folder, text):
    folder.mark("cubes", "a", [])
    (folder.work / "steps.json").write_text(text)
    assert folder.marks() == {}


def test_an_entry_of_another_shape_leaves_the_others(folder):
    folder.mark("cubes", "a", [])
    found = json.loads((folder.work / "steps.json").read_text())
    (folder.work / "steps.json").write_text(json.dumps({**found, "fuse": [1], "fit": {"made": []}}))
    assert set(folder.marks()) == {"cubes"}


def test_what_is_no_folder_is_no_series_in_the_making(folder):
    (folder.root / ".fused-x.zarr").write_text("")
    (folder.root / ".fused-0123.zarr").mkdir()
    assert [path.name for path in folder.stagings] == [".fused-0123.zarr"]


def test_marks_that_cannot_be_read_are_not_taken_for_none(folder):
    (folder.work / "steps.json").mkdir()
    with pytest.raises(IsADirectoryError):
        folder.marks()
    with pytest.raises(IsADirectoryError):
        folder.mark("fuse", "b", [])


def test_a_mark_that_fails_leaves_the_old_ones(folder):
    folder.mark("cubes", "a", [])
    with pytest.raises(TypeError, match="serializable"):
        folder.mark("fuse", "b", [], what=object())
    assert set(folder.marks()) == {"cubes"}


def test_what_goes_away_while_it_is_counted_is_not_there(folder, monkeypatch):
    place, real = folder.cubes, os.walk
    (place / "deep").mkdir(parents=True)
    for name in ("stays", "deep/stays"):
        (place / name).write_bytes(b"1234")
    folder.mark("cubes", "print", [place, folder.scores])
    (place / "deep/goes.partial").write_bytes(b"12")
    assert not folder.is_done("cubes", "print", [place, folder.scores])
    (place / "gone").mkdir()

    def vanishing(top, **more):
        for found, folders, names in real(top, **more):
            (place / "deep/goes.partial").unlink() if "goes.partial" in names else (place / "gone").rmdir()
            yield found, folders, names

    monkeypatch.setattr(os, "walk", vanishing)
    assert folder.is_done("cubes", "print", [place, folder.scores])
    assert sorted(path.name for path in place.rglob("*")) == ["deep", "stays", "stays"]


def test_a_disk_that_fails_is_not_taken_for_an_empty_one(folder, monkeypatch):
    folder.cubes.mkdir()
    folder.mark("cubes", "print", [folder.cubes])

    def failing(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        folder.is_done("cubes", "print", [folder.cubes])


def test_a_step_is_looked_up_in_what_was_known_a_moment_ago(folder):
    folder.mark("cubes", "print", [])
    before = folder.marks()
    folder.unmark("cubes")
    assert folder.is_done("cubes", "print", [], before)
    assert not folder.is_done("cubes", "print", [])
