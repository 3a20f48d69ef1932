"""The page on deliveries: what it shows and lists is what was planted in the store and its lineage."""

from dataclasses import replace

import numpy as np
import pytest
from scenestores import (
    DENSE,
    FAR,
    LOST,
    MARKS,
    MOVED,
    SEAM,
    SHARP,
    VECTORS,
    ground,
    scene,
    three_sensors,
    write,
)

from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.pipeline.airpage import air_part
from stsfusion.pipeline.facts import Report
from stsfusion.pipeline.glance import affordable, glance, planes, stride
from stsfusion.pipeline.levelpage import level_part, levels_of
from stsfusion.pipeline.lookspage import looks_part
from stsfusion.pipeline.recipe import load_recipe
from stsfusion.pipeline.report import render
from stsfusion.pipeline.scenenotes import SHOWN, date_notes, scene_notes
from stsfusion.pipeline.scenepage import delivery_parts
from stsfusion.pipeline.scenesections import Ingest
from stsfusion.pipeline.seampage import meeting_of, seam_part
from stsfusion.pipeline.shiftpage import outcome, shift_part
from stsfusion.views.marks import kinds_of, overlay, shares, sorted_out
from stsfusion.views.palette import sheet
from stsfusion.views.shifts import Shift, arrows

EVIL = "archive <script>x</script>.tar.gz: expected the whole archive, got its end.\nFetch it again."


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return three_sensors(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def dates(store):
    return date_notes(store, pictures=True)


@pytest.fixture(scope="module")
def parts(store):
    return delivery_parts(store, recipe(), {"refused": [EVIL]})


def recipe(*said):
    return load_recipe("packages", ["scenes=folder", *said])[0]


def lines(part, title):
    """The rows of one of a part's tables, as mappings from head to text."""
    (table,) = [table for table in part.tables if table.title == title]
    assert len(table.kinds) == len(table.heads)
    assert all(len(line) == len(table.heads) for line in table.lines)
    return [dict(zip(table.heads, line, strict=True)) for line in table.lines]


# ---------------------------------------------------------------- masks


def test_each_pixel_is_of_one_kind_by_what_weighs_most():
    qa = np.array([[0, 1, 65, 1 + 16], [64, 128 + 64, 1 + 32 + 16, 1]], np.uint16)
    seen = np.array([[False, True, True, True], [False, False, True, True]])
    kinds = kinds_of(MARKS)
    found = [[kinds[i].key for i in row] for row in sorted_out(qa, seen, MARKS)]
    assert found == [["no_data", "clear", "cloud", "saturated"], ["cloud", "cloud", "saturated", "clear"]]
    share = shares(sorted_out(qa, seen, MARKS), MARKS)
    assert share["cloud"] == 3 / 8
    assert sum(share.values()) == pytest.approx(1)


def test_a_mark_that_is_not_known_here_has_a_colour_of_its_own():
    marks = {**MARKS, "smoke_plume": 256}
    kinds = {kind.key: kind for kind in kinds_of(marks)}
    assert kinds["smoke_plume"].words == "smoke plume"
    assert len({kind.colour for kind in kinds.values()}) == len(kinds)


def test_an_overlay_is_grey_where_it_is_clear_and_coloured_elsewhere():
    found = np.full((2, 3), len(kinds_of(MARKS)) - 1, np.uint8)
    found[0, 0] = 0
    picture = overlay(np.linspace(0, 1, 6).reshape(2, 3), found, MARKS)
    grey = np.ptp(picture, axis=2) == 0
    assert not grey[0, 0]
    assert grey.sum() == 5


def test_planted_masks_give_their_shares(dates):
    share = {(note.role, note.date): note.shares for note in dates}
    cloudy, bright, cut = (share["dense", f"2021-12-{day}"] for day in (16, 19, 22))
    assert cloudy["cloud"] == pytest.approx(36 / 144)
    assert cloudy["shadow"] == pytest.approx(18 / 144)
    assert cloudy["clear"] == pytest.approx(90 / 144)
    assert bright["saturated"] == pytest.approx(0.5)
    assert cut["no_data"] == pytest.approx(36 / 144)
    assert share["dense", "2021-12-13"]["clear"] == 1.0


def test_shares_are_listed_and_drawn(parts):
    part = parts[1]
    by_date = {(line["role"], line["date"]): line for line in lines(part, "Share of pixels by role and date")}
    assert by_date["dense", "2021-12-16"]["valid (%)"] == "62.5"
    assert by_date["dense", "2021-12-16"]["cloud (%)"] == "25.0"
    assert by_date["dense", "2021-12-19"]["valid (%)"] == "100.0"
    assert by_date["dense", "2021-12-22"]["nothing seen (%)"] == "25.0"
    assert len(part.pictures) == 4, "one a role, and the bars"
    assert all(picture.caption for picture in part.pictures)


# ---------------------------------------------------------------- glances


def test_a_glance_is_every_nth_pixel(store):
    seen = glance(store, "dense", 1, 5)
    values, valid = store.read("dense", store.spec("dense").window)
    known = np.broadcast_to(valid, values.shape)[1, :, 2::5, 2::5]
    np.testing.assert_array_equal(np.isfinite(seen.image.values), known)
    np.testing.assert_array_equal(np.nan_to_num(seen.image.values), values[1, :, 2::5, 2::5] * known)
    np.testing.assert_array_equal(planes(store, "dense", 1, 5).qa, seen.planes.qa)


@pytest.mark.parametrize("side", [300, 5_000, 40_000])
def test_glances_are_bounded_whatever_the_size_of_the_scene(side):
    spec = CubeSpec(Grid.local((side, side // 2), 10.0), (0,), tuple("abcdefgh"), (500.0,) * 8)
    shown = affordable(spec, 6)
    assert 2 <= shown <= 6
    step = stride(spec, shown)
    seen = len(range(step // 2, side, step))
    assert 8 <= seen <= 480
    pixels = side * side // 2 if step < spec.inner else seen * seen // 2 * spec.inner**2
    opened = pixels * 8 * shown
    assert opened <= 2**31 * 1.3


def test_many_dates_are_listed_and_few_shown(tmp_path):
    store = CubeStore(tmp_path / "cubes.zarr")
    write(store, "dense", DENSE, 10.0, 48, [[scene(f"W{i}")] for i in range(9)])
    store.publish()
    notes = date_notes(store, pictures=True)
    assert sum(note.seen is not None for note in notes) == SHOWN
    assert notes[0].seen is not None
    assert notes[-1].seen is not None
    part = looks_part(notes, pictures=True)
    assert len(part.tables[0].lines) == 9
    assert f"{SHOWN} of 9 dates are shown" in part.pictures[0].caption


# ---------------------------------------------------------------- shifts


def test_arrows_are_as_long_as_the_planted_shift():
    shift = Shift("dense", "moved", "moved", (144, 100), np.array(VECTORS))
    axes = sheet(3, 3).subplots()
    drawn = arrows(axes, shift)
    np.testing.assert_allclose(drawn.U, [row[3] for row in VECTORS])
    np.testing.assert_allclose(drawn.V, [row[2] for row in VECTORS])
    longest = max(np.hypot(row[2], row[3]) for row in VECTORS)
    assert longest / drawn.scale == pytest.approx(0.16 * 144), "the longest reaches a sixth of the map"
    np.testing.assert_allclose(drawn.XY, [[row[1], row[0]] for row in VECTORS])


def test_noise_is_not_drawn_as_a_shift():
    small = Shift("dense", "", "left", (100, 100), np.array([[50.0, 50.0, 0.01, 0.0]]))
    drawn = arrows(sheet(3, 3).subplots(), small)
    assert 0.01 / drawn.scale < 1.0, "below one pixel of a map of a hundred"


@pytest.mark.parametrize(
    ("told", "state", "words"),
    [
        (MOVED, "moved", "moved back by 1.24 px"),
        (FAR, "told", "5.00 px, beyond 3: not moved"),
        (LOST, "failed", "nothing to compare: not moved"),
        (MOVED | {"moved": False, "down": 0.03, "right": 0.04}, "left", "0.05 px: too little to be moved"),
        (MOVED | {"moved": False, "status": "uncertain"}, "failed", "uncertain: not moved"),
    ],
)
def test_what_came_of_a_scene(told, state, words):
    assert outcome(told, 3.0) == (state, words)


def test_offsets_are_listed_with_those_that_were_not_laid_on(dates):
    part = shift_part(scene_notes(dates), Ingest(threshold=3.0), pictures=True)
    table = {(line["role"], line["date"]): line for line in lines(part, "Offsets by scene")}
    assert table["sharp", "2021-12-13"]["what came of it"] == "the reference"
    rich = table["rich", "2021-12-13"]
    assert (rich["down (px)"], rich["right (px)"], rich["length (px)"]) == ("0.300", "-1.200", "1.237")
    assert rich["length (m)"] == "37.1", "pixels of 30 m"
    assert rich["windows agreed"] == "3 of 4"
    assert "beyond 3 px" in table["dense", "2021-12-16"]["what came of it"]
    words = " ".join(part.words)
    assert "Not laid on the reference: WFV1, WFV2." in words
    assert "for want of a band that both show: WFV3" in words
    assert len(part.pictures) == 1


def test_co_registration_that_was_not_done_is_said(dates):
    (only,) = shift_part(scene_notes(dates), Ingest(align=False), pictures=True).words
    assert "ingest.align: false" in only
    alone = [note for note in scene_notes(dates) if note.date.role != "sharp"]
    (only,) = shift_part(alone, Ingest(), pictures=True).words
    assert "no 'sharp' cube" in only


# ---------------------------------------------------------------- the seam


def test_the_seam_shows_both_sides_and_what_was_put_right(dates):
    rich = next(note for note in scene_notes(dates) if note.date.role == "rich")
    meeting = meeting_of(rich)
    assert meeting.overlap == pytest.approx((1005.8, 1040.2), abs=0.5)
    assert meeting.ratio == 1.06
    assert (meeting.first.name, meeting.second.name) == ("VN", "SW")
    for side in (meeting.first, meeting.second):
        assert (np.diff(side.wavelength) > 0).all()
        values = ground(dict(zip(range(99), side.wavelength, strict=False)), 48, 48).mean(axis=(1, 2))
        np.testing.assert_allclose(side.mean, values, atol=1e-4)
    (line,) = lines(seam_part([rich], Ingest(), pictures=True), "Ratio and offset by scene")
    assert line["ratio"] == "1.0600"
    assert line["ratio used"] == "divided by it"
    assert line["step at the seam before"] == "+6.00 %"
    assert abs(float(line["step now"].split()[0])) < 0.05


def test_a_seam_that_was_left_is_shown_as_it_is(tmp_path):
    seam = SEAM | {"status": "uneven", "ratio": 1.4, "dimmed": False, "moved": False, "shift": "uncertain"}
    notes = scene_notes(date_notes(three_sensors(tmp_path, seam=seam), pictures=True))
    assert meeting_of(next(note for note in notes if note.date.role == "rich")).ratio == 1.0
    (line,) = lines(seam_part(notes, Ingest(), pictures=True), "Ratio and offset by scene")
    assert (line["ratio used"], line["offset used"]) == ("left: uneven", "left: uncertain")


def test_a_seam_that_was_not_compared_is_said(tmp_path, dates):
    bare = scene_notes(date_notes(three_sensors(tmp_path, seam=None), pictures=False))
    part = seam_part(bare, Ingest(), pictures=True)
    assert "Not compared: AHSI." in part.words
    assert not part.pictures
    assert "ingest.detectors: false" in seam_part(bare, Ingest(detectors=False), pictures=True).words[0]
    fine = [note for note in scene_notes(dates) if note.date.role != "rich"]
    assert "No instrument" in seam_part(fine, Ingest(), pictures=True).words[0]


# ---------------------------------------------------------------- normalisation

SLOPE, OFFSET = 0.8, 0.02


def levelled(folder, *, used=True, status="good", against="sharp 2021-12-13"):
    """Dense, stored as the reference reads it, but for a quarter that changed."""
    by = dict(zip(DENSE, SHARP, strict=True))
    line = {"slope": SLOPE, "offset": OFFSET, "r2": 0.97, "count": 5000, "status": "good"}
    bands = {name: {**line, "by": by[name], "found": [SLOPE, OFFSET]} for name in DENSE}
    if not used:
        bands = {name: {**one, "slope": 1.0, "offset": 0.0, "status": status} for name, one in bands.items()}
    told = {"against": against, "status": status, "used": used, "bands": bands}
    store = CubeStore(folder / "cubes.zarr")
    first = {"normalisation": {"status": "the reference"}}
    rng = np.random.default_rng(0)
    level = ground(SHARP, 144, 144)[None]
    other = level + rng.normal(0, 2e-3, level.shape)
    other[..., :36, :] = 0.3 + rng.normal(0, 0.03, other[..., :36, :].shape)
    write(store, "sharp", SHARP, 10.0, 144, [[scene("VNIC", **first)]], values=level)
    values = (other if used else (other - OFFSET) / SLOPE).astype(np.float32)
    write(store, "dense", DENSE, 10.0, 144, [[scene("WFV", normalisation=told)]], values=values)
    store.publish()
    return store, scene_notes(date_notes(store, pictures=True))


@pytest.mark.parametrize("used", [True, False])
def test_a_scatter_shows_the_scene_before_it_was_brought_to_the_reference(tmp_path, used):
    store, notes = levelled(tmp_path, used=used, status="good" if used else "poor fit in B1")
    levels = list(levels_of(store, next(note for note in notes if note.date.role == "dense")))
    assert len(levels) == 3
    for level in levels:
        assert level.used is used
        assert (level.slope, level.offset) == (SLOPE, OFFSET)
        still = level.unchanged
        assert 0.3 < still.mean() < 0.8, "a quarter changed"
        error = level.reference - (level.slope * level.scene + level.offset)
        assert np.abs(error[still]).max() < 0.012
        assert np.abs(error[~still]).max() > 0.1


def test_lines_are_listed_and_what_was_left_is_said(tmp_path):
    store, notes = levelled(tmp_path, used=False, status="poor fit in B1")
    part = level_part(store, notes, Ingest(normalise="pif"), pictures=True)
    words = " ".join(part.words)
    assert "The reference is sharp, 2021-12-13 (VNIC)." in words
    assert "Left as they are: WFV (poor fit in B1)." in words
    every = lines(part, "Every band's line")
    assert [line["band"] for line in every] == list(DENSE)
    assert every[0]["slope used"] == "1.0000"
    assert every[0]["slope found"] == "0.8000"
    (line,) = lines(part, "Lines by scene")
    assert line["what came of it"] == "left: poor fit in B1"
    assert len(part.pictures) == 1


def test_normalisation_that_was_not_done_or_cannot_be_shown_is_said(tmp_path, store, dates):
    (only,) = level_part(store, scene_notes(dates), Ingest(), pictures=True).words
    assert "ingest.normalise: none" in only
    other, notes = levelled(tmp_path, against="sharp 2021-01-01")
    part = level_part(other, notes, Ingest(normalise="pif"), pictures=True)
    assert not part.pictures
    assert "no scatter to show" in part.words[-1]


# ---------------------------------------------------------------- haze


def test_haze_is_listed_by_scene_and_band(dates):
    (one, other, *_) = scene_notes(dates)
    told = {
        "status": "good",
        "bands": {"B1": {"dark": 0.05, "haze": 0.04}, "B2": {"dark": None, "haze": 0.0}},
    }
    hazy = replace(one, told={**one.told, "atmosphere": told})
    clear = replace(other, told={**other.told, "atmosphere": {"status": "nothing dark", "bands": {}}})
    part = air_part([hazy, clear])
    first, second = lines(part, "Haze by scene")
    assert first["haze, least to most (reflectance)"] == "0.0000 to 0.0400"
    assert second["what came of it"] == "left: nothing dark"
    assert [line["darkest pixels (reflectance)"] for line in lines(part, "Every band's haze")] == [
        "0.0500",
        "–",
    ]
    assert "Nothing was noted of AHSI" in air_part([one, clear]).words[1]


# ---------------------------------------------------------------- the section


def page(parts):
    return render(Report(title="A run", simulated=False, deliveries=parts))


def test_a_run_without_scenes_has_no_such_section(store):
    bare, _ = load_recipe("demo")
    assert delivery_parts(store, bare, {}) == []
    assert "deliveries" not in page([]).split("<style>")[0] + page([]).split("</style>")[1]


def test_the_section_says_what_was_refused_and_escapes_it(parts):
    text = page(parts)
    assert "From deliveries to cubes" in text
    assert "<script>" not in text
    assert (
        "&lt;script&gt;x&lt;/script&gt;.tar.gz: expected the whole archive, got its end. Fetch it again."
        in text
    )
    assert "1 delivery could not be used" in text
    assert text.count("<img") == sum(len(part.pictures) for part in parts) >= 6
    for part in parts:
        for picture in part.pictures:
            assert picture.caption.replace("'", "&#39;").replace('"', "&#34;") in text


def test_pieces_that_are_missing_are_said(store):
    words = " ".join(delivery_parts(store, recipe("report.pictures=false"), {})[0].words)
    assert "was not noted" in words
    quiet = delivery_parts(store, recipe("report.pictures=false"), {"refused": []})
    assert "No delivery was refused." in quiet[0].words
    assert not any(part.pictures for part in quiet)
    assert "report.pictures: false" in " ".join(quiet[1].words)
    assert all(part.tables or part.words for part in quiet)


def test_what_the_cubes_themselves_lack_is_listed(tmp_path):
    store = CubeStore(tmp_path / "cubes.zarr")
    write(store, "dense", DENSE, 10.0, 48, [[scene("W")]], missing=["archive x.tar.gz: cut short"])
    store.publish()
    (part, *_) = delivery_parts(store, recipe("report.pictures=false"), {})
    assert lines(part, "Deliveries that were refused")[0]["what is wrong, and what to do"] == (
        "archive x.tar.gz: cut short"
    )


def test_scenes_are_listed_by_date_with_their_files(parts):
    part = parts[0]
    assert [line["scene"] for line in lines(part, "Scenes that were used")] == [
        "AHSI", "VNIC", "WFV0", "WFV1", "WFV2", "WFV3",
    ]  # fmt: skip
    made = lines(part, "How each scene was made, and from which file")
    assert made[0]["gains"] == "1, 2: published"
    assert made[0]["sha256"] == "ab" * 32
