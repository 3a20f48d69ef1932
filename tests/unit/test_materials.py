"""Formula spectra: plausible reflectance, and effects in the direction that physics says."""

from __future__ import annotations

import numpy as np
import pytest

from stsfusion.forward.materials import dry_plants, dryness_of_leaves, paleness, roof, soil, wetness

NM = np.arange(400.0, 2500.0, 5.0)


def _at(spectrum, nm):
    return float(spectrum[..., np.argmin(np.abs(NM - nm))])


@pytest.mark.parametrize("material", [soil, dry_plants, roof])
def test_materials_are_smooth_reflectance(material):
    spectrum = material(NM)
    assert spectrum.dtype == np.float32
    assert (spectrum > 0).all()
    assert (spectrum < 0.6).all()
    assert np.abs(np.diff(spectrum)).max() < 0.01


def test_bare_materials_have_no_red_edge():
    for material in (soil, dry_plants):
        assert _at(material(NM), 780) / _at(material(NM), 680) < 1.3


def test_water_darkens_soil_and_its_infrared_most():
    dry, wet = (wetness(NM, np.array([w], np.float32))[0] for w in (0.0, 1.0))
    np.testing.assert_allclose(dry, 1.0)
    assert _at(wet, 1940) < _at(wet, 1650) < _at(wet, 660) < 1.0


def test_pale_leaves_are_brighter_in_the_red_than_in_the_green_and_not_in_the_infrared():
    pale = paleness(NM, np.array([0.6], np.float32))[0]
    assert _at(pale, 670) > _at(pale, 550) > 1.0
    assert _at(pale, 860) == pytest.approx(1.0, abs=1e-3)


def test_dry_leaves_brighten_in_the_short_wave_infrared_alone():
    dry = dryness_of_leaves(NM, np.array([0.5], np.float32))[0]
    assert _at(dry, 1650) > 1.2
    assert _at(dry, 860) < 1.0
    assert _at(dry, 550) == pytest.approx(1.0, abs=0.01)
