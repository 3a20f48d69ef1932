"""Task weights and spectral distance against their plain formulas."""

import math

import torch

from stsfusion.learning.losses import TaskWeights, spectral_distance


def test_the_weighted_sum_is_the_papers():
    weights = TaskWeights(["a", "b"])
    with torch.no_grad():
        weights.log_square.copy_(torch.tensor([0.3, -1.2]))
    c = [math.exp(0.15), math.exp(-0.6)]
    losses = [0.7, 0.05]
    wanted = sum(loss / (2 * k**2) + math.log(1 + k**2) for loss, k in zip(losses, c, strict=True))
    said = weights({"a": torch.tensor(losses[0]), "b": torch.tensor(losses[1])}).detach()
    torch.testing.assert_close(float(said), wanted)


def test_the_gradient_of_a_weight_is_the_formulas():
    """With s = ln c²: d/ds (L e^-s / 2 + ln(1 + e^s)) = −L e^-s / 2 + e^s / (1 + e^s)."""
    weights = TaskWeights(["a"])
    with torch.no_grad():
        weights.log_square.fill_(-0.8)
    loss = torch.tensor(0.4, requires_grad=True)
    weights({"a": loss}).backward()
    square = math.exp(-0.8)
    torch.testing.assert_close(float(weights.log_square.grad), -0.4 / square / 2 + square / (1 + square))
    torch.testing.assert_close(float(loss.grad), 1 / square / 2)


def test_an_absent_task_costs_nothing_and_learns_nothing():
    weights = TaskWeights(["a", "b"])
    weights({"b": torch.tensor(2.0)}).backward()
    assert float(weights.log_square.grad[0]) == 0.0
    assert float(weights.log_square.grad[1]) != 0.0


def test_a_worse_task_weighs_less_at_the_optimum():
    weights = TaskWeights(["good", "bad"])
    losses = {"good": torch.tensor(0.01), "bad": torch.tensor(1.0)}
    optimiser = torch.optim.Adam(weights.parameters(), lr=0.05)
    for _ in range(400):
        optimiser.zero_grad()
        weights(losses).backward()
        optimiser.step()
    square = weights.log_square.exp().tolist()
    # 2 c⁴ = L (1 + c²) is where the derivative is zero.
    for c2, loss in zip(square, (0.01, 1.0), strict=True):
        torch.testing.assert_close(2 * c2**2, loss * (1 + c2), rtol=0.02, atol=1e-6)
    assert square[0] < square[1]


def test_spectral_distance_is_the_plain_formula():
    generator = torch.Generator().manual_seed(1)
    difference = torch.randn(2, 5, 3, 4, generator=generator)
    weight = (torch.rand(2, 1, 3, 4, generator=generator) > 0.3).float()
    total, count = 0.0, 0.0
    for t in range(2):
        for y in range(3):
            for x in range(4):
                mean = sum(float(d) ** 2 for d in difference[t, :, y, x]) / 5
                total += float(weight[t, 0, y, x]) * (math.sqrt(mean + 1e-6) - 1e-3)
                count += float(weight[t, 0, y, x])
    torch.testing.assert_close(float(spectral_distance(difference, weight)), total / count)


def test_nothing_known_is_no_loss_and_no_gradient():
    difference = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = spectral_distance(difference, torch.zeros(1, 1, 1, 1))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert float(difference.grad.abs().max()) == 0.0
