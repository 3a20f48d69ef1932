"""Every method where sums round otherwise: the limits of `python -m stsfusion.gpu` leave room for that."""

import pytest
import torch
from pretended import DEVICE, pretended

from stsfusion import gpu, methods

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason="there is a real GPU to ask"),
]


@pytest.mark.parametrize("name", methods.names())
def test_method(name, monkeypatch):
    monkeypatch.setattr(gpu.zoo, "_ENOUGH", 1e-9)
    with pretended(torch.Generator().manual_seed(7)):
        outcomes = {each.check: each for each in gpu.check_methods([methods.kind(name)], DEVICE, 96)}
    assert "peak memory" in outcomes, outcomes
    for check in ("as on the CPU", "flags as on the CPU", "as good, fitted there"):
        assert check not in outcomes or outcomes[check].passed, outcomes[check]
