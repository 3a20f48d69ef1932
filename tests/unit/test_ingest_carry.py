"""Scenes that come, go and are processed anew: only their dates are made, to the bytes of cubes made anew."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from deliveries import GAINS, VNIC, WFV, deliver, edit, lose, pack

from stsfusion.cube.generations import Generations
from stsfusion.cube.store import CubeStore
from stsfusion.cube.verification import damages_of
from stsfusion.ingest import build, level, look, prepare, survey
from stsfusion.ingest.build import build_cubes
from stsfusion.ingest.calibrate import GainsFile
from stsfusion.ingest.carrying import place_of
from stsfusion.ingest.catalogue import build_catalog
from stsfusion.ingest.choose import choose
from stsfusion.ingest.frame import Place
from stsfusion.ingest.options import Options
from stsfusion.ingest.outlook import outlook
from stsfusion.ingest.plan import Move, Scale, load_plan
from stsfusion.ingest.remembered import Remembered
from stsfusion.ingest.stamps import frame_of, print_of, stamp_of, unplaced
from stsfusion.running.executor import Inline
from stsfusion.sensing.catalog import open_catalog
from stsfusion.sensing.sensor import load_sensor

SENSORS = {"sharp": "zy1-02d-vnic", "dense": "gf6-wfv"}
PLACE = Place("EPSG:32650", (474900.0, 4149700.0, 475700.0, 4150400.0), 10.0)
WORDS = {"owner": "test", "version": "1"}
SHARP, WIDE = VNIC.but(lines=90, samples=90), WFV.but(lines=60, samples=40)


def night(days, **changes):
    """A wide scene so many days later."""
    return WIDE.but(utc=WIDE.utc + timedelta(days=days), number=WIDE.number + days, **changes)


def gains(factor=1.0):
    names = load_sensor("zy1-02d-vnic").names
    table = dict.fromkeys(names, GAINS["MUX"] * factor)
    return {
        "zy1-02d-vnic": GainsFile(sensor="zy1-02d-vnic", source="a test", unit="W m-2 sr-1 um-1", gains=table)
    }


def cubes_in(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class Archive:
    """Deliveries that change from night to night, and the cubes that are made of them."""

    def __init__(self, root, monkeypatch):
        self.root, self.made, self.measured, self.nights = root, [], [], 0
        self.store, self.work = CubeStore(root / "cubes.zarr"), root / "work"
        ingest = build.ingest_tile

        def counted(folder, stamp, key):
            self.made.append(key)
            return ingest(folder, stamp, key)

        measure = prepare.measured

        def noted(bench, series, day, scene):
            self.measured.append(f"{series.role} {day.time:%m-%d}")
            return measure(bench, series, day, scene)

        monkeypatch.setattr(build, "ingest_tile", counted)
        monkeypatch.setattr(prepare, "measured", noted)

    def deliver(self, order):
        aside = self.root / "aside"
        pack(deliver(order, aside), "tar", folder=self.root / "deliveries")
        shutil.rmtree(aside)

    def lose(self, order):
        (self.root / "deliveries" / f"{order.name}.tar").unlink()

    def chosen(self):
        folder = self.root / "deliveries"
        catalog = open_catalog(build_catalog(folder, self.root / "catalog").path, anywhere=True)
        return choose(catalog, SENSORS, PLACE)

    def update(self, executor=None, **options):
        """Roles and dates whose tiles were made in this night."""
        self.nights += 1
        return self.go_on(executor, **options)

    def go_on(self, executor=None, **options):
        """The same of a night that was begun before."""
        self.made.clear()
        self.measured.clear()
        self.asked = self.chosen(), Options(**{"gains": gains(), **options})
        build_cubes(
            self.asked[0], self.store, self.asked[1],
            work=self.work, stamp=f"{self.nights}", executor=executor, **WORDS,
        )  # fmt: skip
        return sorted({" ".join(key.split()[:2]) for key in self.made})

    def is_as_made_anew(self):
        fresh = CubeStore(self.root / "fresh" / "cubes.zarr")
        build_cubes(self.asked[0], fresh, self.asked[1], **WORDS)
        alike = cubes_in(self.store.path) == cubes_in(fresh.path)
        shutil.rmtree(fresh.path.parent)
        return alike and damages_of(self.store.path) == []


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """One sharp scene, and wide ones of two days, made."""
    with pytest.MonkeyPatch.context() as patch:
        archive = Archive(tmp_path_factory.mktemp("carry"), patch)
        for order in (SHARP, WIDE, night(4, season=0.6)):
            archive.deliver(order)
        assert archive.update() == ["dense 0", "dense 1", "sharp 0"]
    return archive.root


@pytest.fixture
def archive(begun, tmp_path, monkeypatch):
    """The same, to be gone on from."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    return Archive(tmp_path, monkeypatch)


def test_only_what_came_went_or_was_processed_anew_is_made(archive):
    archive.deliver(night(-2, season=0.4))
    assert archive.update() == ["dense 0"], "one scene came"
    assert archive.measured == ["dense 12-14"]
    assert archive.is_as_made_anew()

    archive.lose(WIDE)
    archive.deliver(WIDE.but(season=0.7))
    archive.lose(night(4))
    assert archive.update() == ["dense 1"], "one was processed anew, and one was lost"
    assert archive.measured == ["dense 12-16"]
    assert archive.is_as_made_anew()
    assert len(archive.store.spec("dense").times) == 2
    assert [path.name for path in archive.root.glob("*cubes*")] == ["cubes.zarr"]


def test_what_dates_hang_on_makes_them_anew(archive):
    assert archive.update(gains=gains(1.02)) == ["sharp 0"]
    assert archive.is_as_made_anew()


@pytest.mark.slow
def test_other_settings_make_all_anew(archive):
    assert archive.update(clouds=False) == ["dense 0", "dense 1", "sharp 0"]


@pytest.mark.slow
def test_haze_and_brightness_are_known_too(archive):
    said = {"atmosphere": "dark-object", "normalise": "pif"}
    assert archive.update(**said) == ["dense 0", "dense 1", "sharp 0"]
    archive.deliver(night(-2, season=0.4))
    corrected, levelled = [], []
    with pytest.MonkeyPatch.context() as patch:
        for module, name, noted in ((prepare, "corrected", corrected), (level, "_level", levelled)):
            patch.setattr(module, name, _noting(getattr(module, name), noted))
        assert archive.update(**said) == ["dense 0"]
    assert len(corrected) == len(levelled) == len(archive.measured) == 1
    assert archive.is_as_made_anew()


def _noting(work, noted):
    def noting(*words):
        noted.append(words)
        return work(*words)

    return noting


@pytest.mark.slow
def test_a_reference_that_moved_moves_the_others(archive):
    archive.lose(SHARP)
    east = 15 / (111320 * np.cos(np.radians(SHARP.lat)))
    moved = deliver(SHARP, archive.root / "deliveries")
    edit(moved, "-MUX.rpb", lambda text: _shifted(text, east))
    assert archive.update() == ["dense 0", "dense 1", "sharp 0"]
    assert archive.is_as_made_anew()


def _shifted(text, degrees):
    """Rational coefficients of an image that is said to lie further east."""
    before = next(line for line in text.decode().splitlines() if "longOffset" in line)
    value = float(before.split("=")[1].rstrip(";"))
    return text.decode().replace(before, f"\tlongOffset = {value + degrees:.10f};").encode()


def by_scenes_alone(spec, pieces, told, options, version):
    """A stamp that forgets gains, and where a scene is moved to."""
    return print_of(version, frame_of(spec), [unplaced(piece.scene) for piece in pieces])


def stamps(archive, stamp):
    """Of a date as it is, and of it with one thing other at a time."""
    cube = load_plan(archive.work, "1").cubes[-1]
    (piece,), told, options = cube.days[0], cube.spec.attributes["lineage"][0]["scenes"], Options()
    moved = replace(piece, moves=(Move("1", 3.0, 0.0, 1.0),))
    brighter = replace(piece, scales=(Scale("B1", 1.02, 0.0),))
    seen = replace(piece, scene=replace(piece.scene, archive="0" * 64))
    finer = replace(cube.spec, grid=replace(cube.spec.grid, pixel=5.0))
    own = {piece.scene.sensor: gains()["zy1-02d-vnic"]}
    return [
        stamp(cube.spec, [piece], told, options, "1"),
        stamp(cube.spec, [piece], told, options, "2"),
        stamp(finer, [piece], told, options, "1"),
        *(stamp(cube.spec, [other], told, options, "1") for other in (moved, brighter, seen)),
        stamp(cube.spec, [piece], [{**told[0], "mask": {"sha256": "0"}}], options, "1"),
        *(
            stamp(cube.spec, [piece], told, other, "1")
            for other in (Options(gains=own), Options(clouds=False))
        ),
    ]


def test_stamps_tell_all_that_pixels_hang_on(archive):
    assert len(set(stamps(archive, stamp_of))) == 9
    assert len(set(stamps(archive, by_scenes_alone))) == 4


@pytest.mark.slow
def test_stamps_that_forget_are_found_out(archive, monkeypatch):
    monkeypatch.setattr(prepare, "stamp_of", by_scenes_alone)
    shutil.rmtree(archive.store.path)
    archive.update()
    assert archive.update(gains=gains(1.02)) == []
    assert not archive.is_as_made_anew()


class Few:
    """An executor that is stopped after one tile."""

    def run(self, work, keys, on_done):
        outcome = Inline().run(work, keys[:1], on_done)
        return type(outcome)(outcome.done, outcome.failed, tuple(keys[1:]), interrupted=True)


def test_a_night_that_was_stopped_goes_on(archive):
    before = cubes_in(archive.store.path)
    for days in (2, 6):
        archive.deliver(night(days))
    with pytest.raises(KeyboardInterrupt):
        archive.update(Few())
    assert cubes_in(archive.store.path) == before, "readers see the cubes of the day before"
    assert archive.go_on() == ["dense 3"]
    assert archive.measured == []
    assert archive.is_as_made_anew()


def die(*words, **more):
    raise KeyboardInterrupt


@pytest.mark.slow
def test_a_night_that_died_before_the_swap_goes_on(archive, monkeypatch):
    archive.deliver(night(2))
    with monkeypatch.context() as patch:
        patch.setattr(Generations, "succeed", die)
        with pytest.raises(KeyboardInterrupt):
            archive.update()
    assert place_of(archive.store.path, "1").exists()
    assert archive.go_on() == []
    assert archive.is_as_made_anew()


@pytest.mark.slow
def test_a_night_that_died_after_the_swap_leaves_nothing(archive, monkeypatch):
    archive.deliver(night(2))
    with monkeypatch.context() as patch:
        patch.setattr(Generations, "shelve", die)
        with pytest.raises(KeyboardInterrupt):
            archive.update()
    shown = cubes_in(archive.store.path)
    assert archive.go_on() == []
    assert cubes_in(archive.store.path) == shown
    assert len(archive.store.spec("dense").times) == 3
    assert [path.name for path in archive.root.glob("*cubes*")] == ["cubes.zarr"]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("file", "made"),
    [
        ("dense/reflectance/c/1/0/0/0", ["dense 0", "dense 2"]),
        ("dense/wavelength/c/0", ["dense 0", "dense 1", "dense 2"]),
    ],
)
def test_what_is_damaged_is_not_carried(archive, file, made):
    """Nor is what was measured, where a note of it is damaged."""
    archive.deliver(night(-2))
    note = next((archive.work / "measured").glob("*.json"))
    flip(note)
    flip(archive.store.path / file)
    assert archive.update() == made
    assert len(archive.measured) == 2
    assert damages_of(archive.store.path) == []


def test_the_outlook_names_what_is_new(archive):
    archive.deliver(night(-2))
    told = outlook(archive.chosen(), archive.store)
    assert told.startswith("To be ingested: 1 of 4 dates (dense 2021-12-14); the others stay")
    assert outlook(archive.chosen(), CubeStore(archive.root / "none.zarr")) == ""
    archive.lose(night(-2))
    assert outlook(archive.chosen(), archive.store).startswith("To be ingested: 0 of 3 dates;")


def test_a_stamp_is_the_same_wherever_scenes_lie(archive, tmp_path_factory):
    before = cubes_in(archive.store.path)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(archive.root / "deliveries", elsewhere / "deliveries")
    archive.root, archive.work = elsewhere, elsewhere / "work"
    assert archive.update() == []
    assert cubes_in(archive.store.path) == before


def test_archives_that_were_looked_into_are_not_unpacked_again(tmp_path, monkeypatch):
    folder, shelf = tmp_path / "deliveries", tmp_path / "looked"
    unpacked, into = [], survey.unpacked

    def noting(path, *words):
        unpacked.append(path.name)
        return into(path, *words)

    monkeypatch.setattr(survey, "unpacked", noting)

    def seen(version="1"):
        unpacked.clear()
        build_catalog(folder, tmp_path / "catalog", before=Remembered(shelf, version))
        catalog = cubes_in(tmp_path / "catalog")
        now = list(unpacked)
        build_catalog(folder, tmp_path / "catalog")
        return now, cubes_in(tmp_path / "catalog") == catalog

    first, second = (pack(deliver(night(days), tmp_path / "aside"), folder=folder) for days in (0, 4))
    (folder / "bad.tar.gz").write_bytes(b"no archive")
    assert seen() == ([first.name, second.name, "bad.tar.gz"], True)
    assert seen() == (["bad.tar.gz"], True)
    pack(deliver(night(4, season=0.9), tmp_path / "anew"), folder=folder)
    assert seen() == ([second.name, "bad.tar.gz"], True)
    for file in shelf.iterdir():
        flip(file)
    assert seen() == ([first.name, second.name, "bad.tar.gz"], True)
    assert seen("2")[0] == [first.name, second.name, "bad.tar.gz"]
    second.unlink()
    assert seen("2") == (["bad.tar.gz"], True)
    assert len(list(shelf.iterdir())) == 1


def test_folders_that_were_looked_into_are_not_read_again(tmp_path, monkeypatch):
    folder, shelf, read = tmp_path / "deliveries", tmp_path / "looked", []
    product = look.product_scene

    def noting(found, *words, **more):
        read.append(found.name)
        return product(found, *words, **more)

    monkeypatch.setattr(look, "product_scene", noting)

    def survey():
        read.clear()
        build_catalog(folder, tmp_path / "catalog", before=Remembered(shelf, "1"))
        catalog, now = cubes_in(tmp_path / "catalog"), list(read)
        build_catalog(folder, tmp_path / "catalog")
        return now, cubes_in(tmp_path / "catalog") == catalog

    first, second = (deliver(night(days), folder) for days in (0, 4))
    assert survey() == ([first.name, second.name], True)
    assert survey() == ([], True)
    third = deliver(night(8), folder)
    edit(second, ".xml", lambda text: text.replace(b"<CloudPercent>3<", b"<CloudPercent>4<"))
    assert survey() == ([second.name, third.name], True)
    lose(second, "-1.tiff")
    assert survey() == ([second.name], True)
    assert survey() == ([second.name], True), "what is bad is looked at each time"
