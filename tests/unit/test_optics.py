"""From an instrument to a degradation: widths, phase, shifts and bands."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from stsfusion.errors import ProblemError, SensorError
from stsfusion.forward.optics import instrument, point_spread, seen_bands, shifted
from stsfusion.operators.blur import Blur

NM = torch.tensor([450.0, 550.0, 650.0, 850.0])


@dataclass(frozen=True)
class Boxes:
    """Box responses between two wavelengths, the plainest stand-in for a sensor's response."""

    bands: tuple[tuple[str, float, float], ...]

    def covered(self, nm):
        return np.array([bool(((nm >= low) & (nm <= high)).any()) for _, low, high in self.bands])

    def matrix(self, nm):
        if not self.covered(nm).all():
            raise SensorError("sensor 'boxes'", expected="wavelengths that cover it")
        rows = np.array([(nm >= low) & (nm <= high) for _, low, high in self.bands], dtype=float)
        return rows / rows.sum(1, keepdims=True)


@dataclass(frozen=True)
class Camera:
    name: str = "camera"
    pixel: float = 16.0
    table: tuple[tuple[str, float, float], ...] = (("g", 500, 600), ("v", 400, 700), ("far", 2000, 2400))
    optics: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(mtf=0.25))

    @property
    def bands(self):
        return tuple(SimpleNamespace(name=name) for name, _, _ in self.table)

    def response(self, bands=None):
        return Boxes(tuple(row for row in self.table if bands is None or row[0] in bands))


def _moments(kernel):
    places = torch.arange(len(kernel), dtype=torch.float64) - (len(kernel) - 1) / 2
    profile = kernel.sum(1)
    centre = float((profile * places).sum())
    return centre, math.sqrt(float((profile * (places - centre) ** 2).sum()))


@pytest.mark.parametrize("psf", ["gaussian", "gaussian:2.5", "bilinear", "box", "optics"])
@pytest.mark.parametrize("ratio", [1, 2, 3, 4])
def test_every_kernel_has_unit_sum_and_lies_on_its_block(psf, ratio):
    kernel = point_spread(psf, ratio, sensor=Camera())
    assert float(kernel.sum()) == pytest.approx(1.0, abs=1e-12)
    assert kernel.shape[0] % 2 == ratio % 2
    assert _moments(kernel)[0] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("psf", ["gaussian", "bilinear", "box", "optics"])
@pytest.mark.parametrize("ratio", [2, 3])
def test_a_coarse_pixel_of_a_coordinate_image_is_the_centre_of_its_block(psf, ratio):
    rows, cols = 24, 36
    y, x = torch.meshgrid(
        torch.arange(rows, dtype=torch.float64), torch.arange(cols, dtype=torch.float64), indexing="ij"
    )
    for picture, axis in ((y, 2), (x, 3)):
        kernel = point_spread(psf, ratio, sensor=Camera())
        out = Blur(kernel, ratio, (1, 1, rows, cols))(picture[None, None])
        centres = torch.arange(out.shape[axis], dtype=torch.float64) * ratio + (ratio - 1) / 2
        inner = slice(4, -4)
        expected = centres[:, None] if axis == 2 else centres[None]
        torch.testing.assert_close(
            out[0, 0, inner, inner], expected.expand(out.shape[2:])[inner, inner], atol=1e-9, rtol=0
        )


@pytest.mark.parametrize("psf", ["gaussian", "bilinear", "box", "optics"])
@pytest.mark.parametrize("ratio", [2, 3])
def test_a_shift_moves_the_footprint_down_and_right(psf, ratio):
    kernel = point_spread(psf, ratio, (0.4, -1.3), sensor=Camera())
    assert _moments(kernel)[0] == pytest.approx(0.4, abs=5e-3)
    assert _moments(kernel.T)[0] == pytest.approx(-1.3, abs=5e-3)
    ramp = torch.arange(48, dtype=torch.float64)[None, None, :, None].expand(1, 1, 48, 48)
    still = Blur(point_spread(psf, ratio, sensor=Camera()), ratio, (1, 1, 48, 48))(ramp)
    moved = Blur(kernel, ratio, (1, 1, 48, 48))(ramp)
    assert float((moved - still)[0, 0, 6:-6].mean()) == pytest.approx(0.4, abs=5e-3)


def test_whole_shifts_of_a_kernel_are_exact():
    kernel = torch.rand(3, 3, dtype=torch.float64)
    moved = shifted(kernel, (1.0, 0.0))
    assert tuple(moved.shape) == (5, 3)
    torch.testing.assert_close(moved[2:], kernel)
    torch.testing.assert_close(moved[:2], torch.zeros(2, 3, dtype=torch.float64))


def test_a_gaussian_is_as_wide_as_it_says():
    per_fwhm = 1 / (2 * math.sqrt(2 * math.log(2)))
    assert _moments(point_spread("gaussian", 3))[1] == pytest.approx(3 * per_fwhm, rel=0.01)
    assert _moments(point_spread("gaussian:4.5", 3))[1] == pytest.approx(4.5 * per_fwhm, rel=0.01)


def test_optics_have_their_modulation_at_the_nyquist_frequency():
    kernel = point_spread("optics", 3, sensor=Camera(optics=SimpleNamespace(mtf=0.2)))
    profile = kernel.sum(0)
    places = torch.arange(len(profile), dtype=torch.float64) - (len(profile) - 1) / 2
    nyquist = float((profile * torch.cos(2 * math.pi * places / 6)).sum())
    assert nyquist == pytest.approx(0.2, abs=2e-3)


def test_a_resampled_instrument_is_its_optics_and_its_interpolation():
    """16 m on a 10 m grid: variances of the Gaussian and of the triangle add up, σ² + p²/6."""
    kernel = point_spread("optics", 1, sensor=Camera(), pixel=10.0)
    sigma = 1.6 / math.pi * math.sqrt(-2 * math.log(0.25))
    assert _moments(kernel)[1] == pytest.approx(math.sqrt(sigma**2 + 1.6**2 / 6), rel=0.01)
    same = point_spread("optics", 2, sensor=Camera(), pixel=8.0)
    torch.testing.assert_close(same, point_spread("optics", 2, sensor=Camera()))
    assert _moments(point_spread("optics", 1, (0.5, 0.0), sensor=Camera(), pixel=10.0))[0] == pytest.approx(
        0.5, abs=5e-3
    )


def test_an_array_is_taken_as_it_is_with_unit_sum():
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, 4.0, 1.0], [0.0, 1.0, 0.0]])
    torch.testing.assert_close(point_spread(kernel, 3), kernel.double() / 8)


@pytest.mark.parametrize(
    "psf, match",
    [("gausian", "gaussian"), ("gaussian:wide", "gaussian:2.5"), ("optics", "sensor"), ("box:3", "box")],
)
def test_an_unknown_point_spread_function_is_refused(psf, match):
    with pytest.raises(ProblemError, match=match):
        point_spread(psf, 3)


@pytest.mark.parametrize(
    "psf", ["gaussian:48.1", "gaussian:1e9", "gaussian:inf", "gaussian:0", "gaussian:-2"]
)
def test_no_gaussian_is_wider_than_sixteen_pixels(psf):
    with pytest.raises(ProblemError, match=f"at most 48 at the ratio 3, got '{psf}'"):
        point_spread(psf, 3)
    assert float(point_spread("gaussian:48", 3).sum()) == pytest.approx(1.0)


def test_a_sensor_sees_the_bands_that_the_wavelengths_cover():
    assert seen_bands(Camera(), NM) == ["g", "v"]
    view = instrument(Camera(), (2, 4, 12, 12), NM, dates=[1], ratio=3, psf="box")
    assert view.out_shape == (1, 2, 4, 4)
    assert view.dates == [1]
    cube = torch.rand(2, 4, 12, 12)
    block = cube[1, :, :3, :3].mean((1, 2))
    torch.testing.assert_close(view(cube)[0, :, 0, 0], torch.stack([block[1], block[:3].mean()]))


def test_bands_that_no_wavelength_covers_are_refused():
    with pytest.raises(SensorError, match="boxes"):
        instrument(Camera(), (1, 4, 12, 12), NM, bands=["g", "far"])
    with pytest.raises(SensorError, match="cover at least one"):
        seen_bands(Camera(), torch.tensor([9000.0]))


def test_without_a_sensor_the_bands_are_the_targets():
    view = instrument(None, (2, 4, 12, 12), NM, ratio=2, psf="gaussian")
    assert view.out_shape == (2, 4, 6, 6)
    assert view.spectral.chosen() == [0, 1, 2, 3]
