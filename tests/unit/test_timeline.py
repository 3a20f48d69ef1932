"""Time-encoded resampling against numpy's interpolation."""

import numpy as np
import torch

from stsfusion.learning.timeline import on_dates

DAYS = torch.tensor([0.0, 38.0, 74.0, 101.0, 135.0])
ASKED = torch.tensor([-10.0, 0.0, 20.0, 50.0, 101.0, 120.0, 150.0])


def series(seed=0, channels=2, rows=3, cols=4):
    return torch.randn(len(DAYS), channels, rows, cols, generator=torch.Generator().manual_seed(seed))


def test_irregular_dates_match_numpy():
    data = series()
    made = on_dates(data, torch.ones(1, 1, 1, 1, dtype=torch.bool), DAYS, ASKED).values
    for place in np.ndindex(*data.shape[1:]):
        wanted = np.interp(ASKED.numpy(), DAYS.numpy(), data[(slice(None), *place)].numpy())
        np.testing.assert_allclose(made[(slice(None), *place)].numpy(), wanted, atol=1e-5)


def test_gaps_match_numpy_on_what_is_left():
    data = series()
    valid = torch.rand(len(DAYS), 1, 3, 4, generator=torch.Generator().manual_seed(5)) > 0.4
    valid[0, :, 0, 0] = True
    wild = torch.where(valid, data, 1e6)
    made = on_dates(wild, valid, DAYS, ASKED)
    for row, col in np.ndindex(3, 4):
        kept = valid[:, 0, row, col].numpy()
        if not kept.any():
            assert not bool(made.known[:, 0, row, col].any())
            continue
        for channel in range(2):
            wanted = np.interp(ASKED.numpy(), DAYS.numpy()[kept], data[:, channel, row, col].numpy()[kept])
            np.testing.assert_allclose(made.values[:, channel, row, col].numpy(), wanted, atol=1e-5)


def test_the_code_says_how_far_the_sources_are():
    valid = torch.ones(len(DAYS), 1, 1, 2, dtype=torch.bool)
    valid[1, :, :, 1] = False
    code = on_dates(torch.zeros(len(DAYS), 1, 1, 2), valid, DAYS, ASKED).code[:, :, 0]
    wanted_first = [[2.0, 0.1, 0], [0, 0, 1], [0.2, 0.18, 0], [0.12, 0.24, 0], [0, 0, 1], [0.19, 0.15, 0]]
    torch.testing.assert_close(code[:6, :, 0], torch.tensor(wanted_first))
    torch.testing.assert_close(code[6, :, 0], torch.tensor([0.15, 2.0, 0]))
    torch.testing.assert_close(code[2, :, 1], torch.tensor([0.2, 0.54, 0]))


def test_a_gap_of_all_dates_is_entered_from_its_edge_only_so_far():
    data = torch.ones(1, 1, 1, 7)
    valid = torch.ones(1, 1, 1, 7, dtype=torch.bool)
    valid[..., 2:] = False
    made = on_dates(torch.where(valid, data, 9.0), valid, DAYS[:1], ASKED[:1], passes=2)
    assert made.values[0, 0, 0].tolist() == [1, 1, 1, 1, 0, 0, 0]
