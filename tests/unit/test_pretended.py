"""The pretended GPU allows and refuses what CUDA does; where there is a real one, that is asked too."""

import numpy as np
import pytest
import torch
from pretended import DEVICE, TwoDevices, pretended
from torch import nn

REAL = torch.cuda.is_available()


def _set(there, values):
    there = there.clone()
    there[torch.tensor([0, 2])] = values
    return there


def _set_part(there, values):
    there = there.clone()
    there[0] = values
    return there


ALLOWED = {
    "sum of two there": lambda there, here: there + there,
    "number of the CPU": lambda there, here: there * here[0, 0] + 2.0,
    "number of the CPU, first": lambda there, here: here[0, 0] - there,
    "copy there": lambda there, here: there.clone().copy_(here),
    "copy here": lambda there, here: here.clone().copy_(there).to(there),
    "rows, indices of the CPU": lambda there, here: there[torch.tensor([0, 2])],
    "rows, a list": lambda there, here: there[[0, 2]],
    "rows, mask of the CPU": lambda there, here: there[torch.tensor([True, False, True])],
    "number put in at rows": lambda there, here: _set(there, here[0, 0]),
    "part overwritten by the CPU": lambda there, here: _set_part(there, here[0]),
    "made there": lambda there, here: torch.eye(4, device=there.device) + there.new_ones(4, 4),
    "numbers brought there": lambda there, here: torch.tensor([1.0, 2.0], device=there.device) + 0,
    "like another": lambda there, here: here.to(there) + there,
    "choice with a number": lambda there, here: torch.where(there > 0, there, 0.0),
    "filled with a number": lambda there, here: there.masked_fill(there > 0, here[0, 0]),
    "product": lambda there, here: there @ there.T,
    "vector times matrix": lambda there, here: there[0] @ there.T,
    "quantile": lambda there, here: torch.quantile(there, torch.tensor([0.1, 0.9]).to(there), dim=1),
}

REFUSED = {
    "sum of both": lambda there, here: there + here,
    "CPU times a number there": lambda there, here: here * there[0, 0],
    "product of both": lambda there, here: there @ here.T,
    "einsum of both": lambda there, here: torch.einsum("ab,cb->ac", there, here),
    "numbers stacked": lambda there, here: torch.stack([there[0, 0], here[0, 0]]),
    "joined": lambda there, here: torch.cat([there, here]),
    "CPU looked up by indices there": lambda there, here: here[torch.tensor([0, 2], device=there.device)],
    "tensor put in at rows": lambda there, here: _set(there, here[:2]),
    "mask of the CPU": lambda there, here: there.masked_fill(here > 0, 0.0),
    "choice by a mask of the CPU": lambda there, here: torch.where(here > 0, there, 0.0),
    "written into the CPU": lambda there, here: here[0, 0].clone().add_(there[0, 0]),
    "compared": lambda there, here: torch.equal(there, here),
    "drawn by the CPU's generator": lambda there, here: torch.rand(
        2, device=there.device, generator=torch.Generator().manual_seed(0)
    ),
    "product of whole numbers": lambda there, here: there.long() @ there.long().T,
    "numpy": lambda there, here: there.numpy(),
    "array": lambda there, here: np.asarray(there),
}


def _here():
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def device():
    if REAL:
        pytest.skip("there is a real GPU, which is asked instead")
    with pretended():
        yield DEVICE


def _agrees(case, device):
    here = _here()
    answer = case(here.to(device), here)
    assert answer.device.type == device.type
    assert torch.allclose(answer.cpu(), case(here, here))


def _refuses(case, device):
    here = _here()
    with pytest.raises((RuntimeError, TypeError)):
        case(here.to(device), here)


@pytest.mark.parametrize("case", ALLOWED.values(), ids=ALLOWED)
@pytest.mark.parametrize("still", [True, False], ids=["inference", "autograd"])
def test_what_is_allowed_gives_what_the_cpu_gives(case, still, device):
    with torch.inference_mode(still):
        _agrees(case, device)


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("still", [True, False], ids=["inference", "autograd"])
def test_what_is_refused(case, still, device):
    with torch.inference_mode(still):
        _refuses(case, device)


@pytest.mark.gpu
@pytest.mark.skipif(not REAL, reason="needs a CUDA device")
@pytest.mark.parametrize("case", ALLOWED.values(), ids=ALLOWED)
def test_cuda_allows_the_same(case):
    _agrees(case, torch.device("cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(not REAL, reason="needs a CUDA device")
@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_cuda_refuses_the_same(case):
    _refuses(case, torch.device("cuda"))


def _trained(device, inputs):
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Conv2d(3, 1, 1))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    net = net.to(device).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad(set_to_none=True)
        net(inputs.to(device)).square().mean().backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
    return net


def test_a_network_is_trained_there_as_here(device):
    inputs = torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(2))
    there, here = _trained(device, inputs), _trained("cpu", inputs)
    for one, other in zip(there.parameters(), here.parameters(), strict=True):
        assert one.device.type == device.type
        assert torch.equal(one.detach().cpu(), other)
    with pytest.raises(TwoDevices, match="convolution"):
        there(inputs)


def test_vectors_come_with_other_signs_and_are_sound(device):
    here = _here() @ _here().T
    values, vectors = torch.linalg.eigh(here.to(device))
    assert torch.allclose((vectors * values @ vectors.T).cpu(), here, atol=1e-5)
    assert not torch.allclose(vectors.cpu(), torch.linalg.eigh(here).eigenvectors)
    u, s, v = torch.linalg.svd(_here().to(device), full_matrices=False)
    assert torch.allclose((u * s @ v).cpu(), _here(), atol=1e-5)
    assert not torch.allclose(u.cpu(), torch.linalg.svd(_here(), full_matrices=False)[0])
    q, r = torch.linalg.qr(_here().to(device))
    assert torch.allclose((q @ r).cpu(), _here(), atol=1e-5)
    assert not torch.allclose(q.cpu(), torch.linalg.qr(_here()).Q)


@pytest.mark.skipif(REAL, reason="there is a real GPU")
def test_sums_round_otherwise_where_that_is_asked():
    here = _here()
    with pretended(torch.Generator().manual_seed(3)):
        there = here.to(DEVICE)
        product, plain = (there @ there.T).cpu(), (there * 2).cpu()
    assert torch.equal(plain, here * 2)
    assert not torch.equal(product, here @ here.T)
    assert torch.allclose(product, here @ here.T, rtol=1e-6)


@pytest.mark.skipif(REAL, reason="there is a real GPU")
def test_afterwards_there_is_no_such_device():
    with pretended():
        assert torch.zeros(2, device=DEVICE).device.type == DEVICE.type
    with pytest.raises(NotImplementedError, match="empty"):
        torch.zeros(2, device=DEVICE)
    assert not torch.accelerator.is_available()
    _trained("cpu", torch.ones(1, 2, 6, 6))
