"""A season made of a scene: seeded, plausible, hard for interpolation, and true to the scene's detail."""

from __future__ import annotations

import numpy as np
import pytest

from stsfusion.errors import CubeError
from stsfusion.forward.calendar import CROPS
from stsfusion.forward.events import Event, apply
from stsfusion.forward.materials import soil
from stsfusion.forward.sample import open_scene
from stsfusion.forward.seasons import DATES, make_seasons

NM = np.linspace(420.0, 2400.0, 90)


def _band(values, nm):
    return values[..., np.argmin(np.abs(NM - nm)), :, :]


def _index(values):
    near, red = _band(values, 865.0), _band(values, 660.0)
    return (near - red) / (near + red)


def _scene():
    """Rectangular fields of soil and canopy in several shares, with texture and noise."""
    random = np.random.default_rng(3)
    canopy = np.where(NM < 700, 0.04, np.where(NM < 1350, 0.45, np.where(NM < 1850, 0.22, 0.10)))
    share = np.kron(random.choice([0.02, 0.1, 0.3, 0.6, 0.95], (6, 6)), np.ones((12, 12)))
    share = np.clip(share + 0.04 * random.standard_normal(share.shape), 0, 1)
    ground = soil(NM)[:, None, None] * (1 - share) + canopy[:, None, None] * share
    bright = 1 + 0.05 * random.standard_normal(share.shape)
    return (ground * bright + 0.002 * random.standard_normal(ground.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def season():
    return make_seasons(_scene(), NM, seed=1)


def test_a_season_is_a_plausible_series(season):
    assert season.values.shape == (7, 90, 72, 72)
    assert season.values.dtype == np.float32
    assert season.values.min() > 0
    assert season.values.max() <= 1
    assert season.dates.astype(str).tolist() == list(DATES)
    assert season.days.tolist() == [0, 38, 74, 101, 135, 161, 194]
    assert season.description.startswith("simulated")
    steps = np.abs(np.diff(season.values.mean(axis=(2, 3)), axis=1))
    assert steps.max() < 0.25  # the red edge of this scene is one band wide


def test_the_same_seed_gives_the_same_bytes(season):
    again, other = (make_seasons(_scene(), NM, seed=seed) for seed in (1, 2))
    assert again.values.tobytes() == season.values.tobytes()
    assert not np.array_equal(other.values, season.values)


def test_crops_follow_their_calendars(season):
    index = _index(season.values)
    quiet = np.ones(season.crops.shape, bool)
    for event in season.events:
        quiet &= ~event.area
    for crop in np.unique(season.crops):
        months = index[:, (season.crops == crop) & quiet].mean(axis=1)
        if crop in ("meadow", "woodland"):
            assert months[:3].max() < 0.5 * months[4]
        if crop == "winter wheat":
            assert months[4] > 1.5 * months[1]
            assert months[4] > 1.5 * months[6]
        if crop in ("cotton", "spring maize"):
            assert months[6] > 1.5 * months[:4].max()


def test_green_growth_moves_the_whole_spectrum_together(season):
    green = _index(season.values)
    for nm, sign in ((660.0, -1), (865.0, 1), (2200.0, -1)):
        together = np.corrcoef(green.ravel(), _band(season.values, nm).ravel())[0, 1]
        assert together * sign > 0.3


def test_real_fine_detail_is_on_every_date(season):
    """Brightness within fields, which no calendar makes, correlates with the scene's."""

    def fine(image):
        blocks = image.reshape(6, 12, 6, 12)
        return (blocks / blocks.mean(axis=(1, 3), keepdims=True) - 1).ravel()

    scene = fine(_band(_scene(), 1000.0))
    for date in range(7):
        assert np.corrcoef(scene, fine(_band(season.values[date], 1000.0)))[0, 1] > 0.25


def test_events_show_from_their_date_on():
    plain, eventful = (make_seasons(_scene(), NM, seed=1, events=count) for count in (0, 6))
    assert plain.events == ()
    assert {event.kind for event in eventful.events} == {"harvest", "ploughing", "building"}
    change = np.abs(eventful.values - plain.values).max(axis=1)
    touched = np.zeros(change.shape, bool)
    for event in eventful.events:
        touched[event.date :, event.area] = True
        assert change[event.date][event.area].mean() > 0.01
    assert change[~touched].max() == 0


def test_harvest_and_ploughing_take_the_green_away():
    cover = CROPS[0].cover(np.full(4, 147.0))
    area = np.array([[True, False], [False, False]])
    for kind, dry in (("harvest", 0.6), ("ploughing", 0.02)):
        after, built = apply((Event(kind, 3, area),), 3, cover)
        before, _ = apply((Event(kind, 3, area),), 2, cover)
        assert after.green[0] < 0.15 < 0.8 < after.green[1] == before.green[0]
        assert after.dry[0] == pytest.approx(dry)
        assert not built.any()


def test_bands_may_come_in_any_order(season):
    order = np.random.default_rng(0).permutation(90)
    mixed = make_seasons(_scene()[order], NM[order], seed=1)
    back = np.empty_like(mixed.values)
    back[:, order] = mixed.values
    assert back.shape == season.values.shape
    assert np.abs(_index(back).mean(axis=(1, 2)) - _index(season.values).mean(axis=(1, 2))).max() < 0.15


def test_the_packaged_scene_makes_a_season_that_interpolation_cannot_follow():
    pytest.importorskip("tensorly", reason="the extra 'demo' is not installed")
    sample = open_scene("indian-pines")
    season = make_seasons(sample.reflectance, sample.wavelengths, seed=0)
    assert sorted(season.hardness) == [1, 3, 5]
    assert np.mean(list(season.hardness.values())) >= 3.0
    assert min(season.hardness.values()) > 2.0


def test_hardness_is_the_angle_to_the_straight_line(season):
    part = (season.days[1] - season.days[0]) / (season.days[2] - season.days[0])
    line = (1 - part) * season.values[0].astype(float) + part * season.values[2]
    true = season.values[1].astype(float)
    cosine = (line * true).sum(0) / np.linalg.norm(line, axis=0) / np.linalg.norm(true, axis=0)
    assert season.hardness[1] == pytest.approx(np.degrees(np.arccos(cosine)).mean(), rel=1e-4)


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda scene: scene[:, :8, :8], "16 pixels"),
        (lambda scene: scene[:50], "one wavelength"),
        (lambda scene: np.where(scene > 0.4, np.nan, scene), "finite"),
        (lambda scene: scene * 10_000, "median from 0 to 1"),
    ],
)
def test_what_is_no_reflectance_scene_is_refused(change, match):
    with pytest.raises(CubeError, match=match):
        make_seasons(change(_scene()), NM)


@pytest.mark.parametrize("dates", [["2022-02-01", "2022-01-01"], ["2022-02-01"], ["spring", "summer"]])
def test_dates_that_make_no_series_are_refused(dates):
    with pytest.raises(CubeError, match="dates"):
        make_seasons(_scene(), NM, dates)


def test_dates_of_spring_belong_to_the_december_before():
    """Wheat is high in April whether or not the series begins in December."""
    late = make_seasons(_scene(), NM, ["2022-03-24", "2022-04-27", "2022-06-25"], seed=1, events=0)
    wheat = _index(late.values)[:, late.crops == "meadow"].mean(axis=1)
    assert wheat[1] > wheat[0]
