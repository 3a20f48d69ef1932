"""The local thin plate against the one through the whole image."""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import RBFInterpolator

from stsfusion.learning.thinplate import thin_plate


def test_is_the_spline_of_the_whole_image_within_a_thousandth():
    image = torch.rand(1, 20, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    place = (np.arange(60) + 0.5) / 3 - 0.5
    asked = np.stack(np.meshgrid(place, place, indexing="ij"), -1).reshape(-1, 2)
    knots = np.argwhere(np.ones((20, 20))).astype(float)
    whole = RBFInterpolator(knots, image.numpy().ravel(), kernel="thin_plate_spline", degree=1)(asked)
    off = (thin_plate(image, 3)[0].numpy() - whole.reshape(60, 60))[15:-15, 15:-15]
    assert np.sqrt(np.mean(off**2)) < 1.2e-3 * float(image.std())


def test_keeps_planes_and_the_coarse_values_themselves():
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
    fine = thin_plate((0.1 + 0.02 * y - 0.03 * x)[None], 4)[0, 16:32, 16:32]
    place = (torch.arange(16, 32) + 0.5) / 4 - 0.5
    torch.testing.assert_close(fine, 0.1 + 0.02 * place[:, None] - 0.03 * place, atol=1e-5, rtol=0)
    image = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(thin_plate(image, 3)[:, 1::3, 1::3], image, atol=1e-5, rtol=0)
    torch.testing.assert_close(thin_plate(image, 1), image, atol=1e-5, rtol=0)
