"""The dense image of a date with the pixels of the sharp series."""

import torch

from stsfusion.learning.detail import Detail, detail_sums, lowpass
from stsfusion.operators.blur import Blur, gaussian_kernel
from stsfusion.operators.resample import upsample

DAYS = torch.tensor([0.0, 30.0])


def scene(size=48):
    """Four sharp channels, and a dense date that is one mixture of them, another date another one."""
    generator = torch.Generator().manual_seed(2)
    sharp = torch.rand(1, 4, size, size, generator=generator)
    mixtures = torch.randn(2, 3, 4, generator=generator)
    truth = torch.einsum("tdi,iyx->tdyx", mixtures, sharp[0])
    blur = Blur(gaussian_kernel(2.0, 2), 2, (1, 1, size, size))
    return sharp, lowpass(truth, blur), truth, blur


def learned(sharp, dense, blur, penalty=1e-9, weight=None):
    weight = torch.ones(2, 1, *dense.shape[2:]) if weight is None else weight
    return Detail.solve(detail_sums(sharp, dense, weight, blur), DAYS, penalty)


def test_a_mixture_that_is_learned_coarse_holds_fine():
    sharp, dense, truth, blur = scene()
    made = learned(sharp, dense, blur).apply(sharp, dense, DAYS, blur)
    torch.testing.assert_close(made, truth, atol=1e-3, rtol=0)


def test_pixels_without_weight_are_not_learned_from():
    sharp, dense, _, blur = scene()
    weight = torch.ones(2, 1, *dense.shape[2:])
    weight[:, :, :5] = 0.0
    wild = dense.clone()
    wild[:, :, :5] = 50.0
    torch.testing.assert_close(
        learned(sharp, wild, blur, weight=weight).slope, learned(sharp, dense, blur, weight=weight).slope
    )


def test_a_date_that_was_not_learned_is_upsampled():
    sharp, dense, _, blur = scene()
    made = learned(sharp, dense, blur).apply(sharp, dense[:1], torch.tensor([11.0]), blur)
    torch.testing.assert_close(made, upsample(dense[:1], 2))
