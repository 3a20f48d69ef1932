"""What simulated sensors see: errors of the size asked for, seeded, and known to nobody."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stsfusion.errors import ProblemError, SensorError
from stsfusion.forward.padding import pad_to_multiple, unpad
from stsfusion.forward.simulate import Protocol, simulate

NM = torch.linspace(420.0, 2400.0, 60)
DAYS = torch.arange(7.0) * 30
SHAPE = (7, 60, 36, 48)


def _smooth_cube(shape=SHAPE):
    """Slow waves: sampling and blurring hardly change them, so that errors stand out."""
    time, band, rows, cols = shape
    y = torch.linspace(0, 3, rows)[:, None]
    x = torch.linspace(0, 2, cols)[None]
    picture = 0.3 + 0.05 * torch.sin(y) * torch.cos(x)
    factor = torch.linspace(0.8, 1.2, time * band).reshape(time, band, 1, 1)
    return factor * picture


TRUTH = _smooth_cube()
QUIET = Protocol(snr_db=300.0)


def test_the_defaults_are_those_of_the_published_protocol():
    protocol = Protocol()
    assert protocol.settings() == {
        "dense": "gf6-wfv",
        "sharp": "zy1-02d-vnic",
        "rich_ratio": 3,
        "dense_ratio": 2,
        "rich_dates": None,
        "psf": "gaussian",
        "snr_db": None,
        "shift": 0.0,
        "gain": 0.0,
        "clouds": {},
        "cloudy_dates": None,
        "lost": {},
        "seed": 0,
    }
    assert protocol.dates("rich", 7) == protocol.dates("sharp", 7) == [0, 2, 4, 6]
    assert protocol.dates("rich", 5) == [0, 2, 4]
    assert protocol.dates("dense", 7) == list(range(7))


def test_three_sensors_look_at_one_truth():
    problem = simulate(TRUTH, NM, DAYS)
    assert torch.equal(problem.truth, TRUTH)
    assert problem.rich.data.shape == (4, 60, 12, 16)
    assert problem.sharp.data.shape == (4, 8, 36, 48)
    assert problem.dense.data.shape == (7, 8, 18, 24)
    assert all(bool(each.valid.all()) for each in problem.observations.values())
    assert problem.rich.view.spatial.known


def test_without_errors_the_data_are_what_the_views_say():
    problem = simulate(TRUTH, NM, DAYS, QUIET)
    for each in problem.observations.values():
        torch.testing.assert_close(each.data, each.view(TRUTH), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("role", ["rich", "sharp", "dense"])
def test_noise_and_striping_have_the_sizes_of_the_protocol(role):
    shape = (2, 60, 120, 120)
    truth = _smooth_cube(shape)
    protocol = Protocol(rich_dates=(0, 1))
    observation = getattr(simulate(truth, NM, DAYS[:2], protocol), role)
    error = (observation.data - observation.view(truth)).double()
    columns = error.mean(2)
    rows = observation.data.shape[2]
    white = (error - columns[:, :, None]).square().mean((0, 2, 3)).sqrt() / (1 - 1 / rows) ** 0.5
    stripes = (columns.square().mean((0, 2)) - white**2 / rows).clamp_min(0).sqrt()
    if role == "rich":
        expected = torch.where(NM > 1000, 0.004, 0.002).double()
        torch.testing.assert_close(white, expected, rtol=0.08, atol=0)
        torch.testing.assert_close(stripes[NM > 1900].mean().item(), 0.003, rtol=0.1, atol=0)
        torch.testing.assert_close(stripes[NM <= 1900].mean().item(), 0.0008, rtol=0.15, atol=0)
        assert observation.noise[-1].item() == pytest.approx(0.005)
        assert observation.noise[0].item() == pytest.approx((0.002**2 + 0.0008**2) ** 0.5)
    else:
        torch.testing.assert_close(white, torch.full_like(white, 0.002), rtol=0.05, atol=0)
        assert stripes.max() < 4e-4
        assert observation.noise[0].item() == pytest.approx(0.002)


def test_a_signal_to_noise_ratio_replaces_all_other_noise():
    problem = simulate(TRUTH, NM, DAYS, Protocol(snr_db=30.0))
    for each in problem.observations.values():
        clean = each.view(TRUTH)
        error = each.data - clean
        snr = 10 * torch.log10(clean.square().mean((2, 3)) / error.square().mean((2, 3)))
        assert snr.mean().item() == pytest.approx(30.0, abs=0.2)
        torch.testing.assert_close(
            each.noise, clean.square().mean((0, 2, 3)).sqrt() * 10**-1.5, rtol=1e-3, atol=0
        )


def test_gains_move_the_dense_sensor_alone_by_date_and_band():
    clean, wrong = (simulate(TRUTH, NM, DAYS, replace(QUIET, gain=p)) for p in (0.0, 3.0))
    factor = wrong.dense.data / clean.dense.data
    torch.testing.assert_close(factor, factor[:, :, :1, :1].expand_as(factor), rtol=1e-5, atol=0)
    assert factor[:, :, 0, 0].std().item() == pytest.approx(0.03, rel=0.3)
    assert torch.equal(wrong.rich.data, clean.rich.data)
    assert torch.equal(wrong.sharp.data, clean.sharp.data)


def test_shifts_have_the_length_asked_for_and_no_view_knows_them():
    """On ramps down and right the shift of each date can be read off."""
    rows = torch.arange(60.0)[:, None].expand(60, 60) / 100
    truth = torch.stack([rows, rows.T]).expand(3, 2, 60, 60).contiguous()
    nm, days = torch.tensor([550.0, 660.0]), DAYS[:3]
    protocol = replace(QUIET, shift=0.8, dense=None, rich_dates=(0, 1, 2))
    clean, moved = (simulate(truth, nm, days, replace(protocol, shift=s)) for s in (0.0, 0.8))
    vectors = ((moved.rich.data - clean.rich.data) * 100)[:, :, 5:-5, 5:-5].mean((2, 3))
    torch.testing.assert_close(vectors.norm(dim=1), torch.full((3,), 0.8), atol=5e-3, rtol=0)
    assert (vectors[0] - vectors[1]).norm() > 0.1
    assert torch.equal(moved.rich.view.spatial.kernel, clean.rich.view.spatial.kernel)
    assert torch.equal(moved.sharp.data, clean.sharp.data)


def test_the_paper_s_bilinear_optics_can_be_asked_for():
    gaussian, bilinear = (simulate(TRUTH, NM, DAYS, replace(QUIET, psf=p)) for p in ("gaussian", "bilinear"))
    assert bilinear.rich.view.spatial.kernel.shape == (5, 5)
    assert not torch.equal(gaussian.rich.data, bilinear.rich.data)


def test_clouds_cover_the_share_asked_for_in_blobs_and_hide_the_ground():
    problem = simulate(TRUTH, NM, DAYS, Protocol(clouds={"rich": 0.25, "sharp": 0.25, "dense": 0.4}))
    for each, share in ((problem.rich, 0.25), (problem.sharp, 0.25), (problem.dense, 0.4)):
        cloudy = ~each.valid
        torch.testing.assert_close(
            cloudy.float().mean((1, 2, 3)), torch.full((len(cloudy),), share), atol=0.01, rtol=0
        )
        neighbours = (cloudy[..., 1:] == cloudy[..., :-1]).float().mean()
        assert neighbours > 0.75  # independent pixels: 0.52 to 0.63
        assert bool((each.data[cloudy.expand_as(each.data)] == 0.6).all())
    under = torch.nn.functional.interpolate((~problem.rich.valid).float(), scale_factor=3)
    agree = (under.bool() == ~problem.sharp.valid).float().mean()
    assert agree > 0.9


def test_clouds_may_stand_over_some_dates_alone():
    shares = {"rich": 0.5, "sharp": 0.5, "dense": 0.5}
    some = simulate(TRUTH, NM, DAYS, Protocol(clouds=shares, cloudy_dates=(2, 3)))
    every = simulate(TRUTH, NM, DAYS, Protocol(clouds=shares))
    for role, seen in some.observations.items():
        cloudy = [date for date, mask in zip(seen.dates, seen.valid, strict=True) if not bool(mask.all())]
        assert cloudy == [date for date in seen.dates if date in (2, 3)]
        for date in cloudy:
            place = seen.dates.index(date)
            assert torch.equal(seen.valid[place], every.observations[role].valid[place])


def test_lost_dates_are_gone_and_drawn_by_lot():
    problem = simulate(TRUTH, NM, DAYS, Protocol(lost={"rich": 1, "dense": 3}))
    assert len(problem.rich.dates) == 3
    assert len(problem.dense.dates) == 4
    assert problem.sharp.dates == [0, 2, 4, 6]
    drawn = {
        tuple(simulate(TRUTH, NM, DAYS, Protocol(lost={"dense": 3}, seed=s)).dense.dates) for s in range(4)
    }
    assert len(drawn) > 1


def test_the_same_seed_gives_the_same_bytes_and_options_do_not_disturb_each_other():
    first, again = (simulate(TRUTH, NM, DAYS) for _ in range(2))
    other = simulate(TRUTH, NM, DAYS, Protocol(seed=1))
    fewer = simulate(TRUTH, NM, DAYS, Protocol(rich_dates=(0, 4), clouds={"dense": 0.3}))
    assert torch.equal(first.rich.data, again.rich.data)
    assert not torch.equal(first.rich.data, other.rich.data)
    assert torch.equal(fewer.rich.data, first.rich.data[[0, 2]])


def test_a_role_can_be_absent():
    problem = simulate(TRUTH, NM, DAYS, Protocol(dense=None))
    assert problem.dense is None
    assert problem.sharp is not None


@pytest.mark.parametrize(
    "options, match",
    [
        ({"rich_dates": (0, 7)}, "indices from 0 to 6"),
        ({"rich_dates": (1, 1)}, "distinct"),
        ({"rich_dates": ()}, "none"),
        ({"rich_ratio": 5}, "Pad the cube"),
        ({"rich_ratio": 0}, "rich_ratio"),
        ({"gain": -1.0}, "shift, gain, seed"),
        ({"clouds": {"rich": 1.0}}, "shares"),
        ({"clouds": {"rihc": 0.1}}, "Did you mean 'rich'"),
        ({"cloudy_dates": (1, 7)}, "cloudy_dates.*indices from 0 to 6, got 7"),
        ({"lost": {"rich": 4}}, "fewer than its 4"),
        ({"psf": "gauss"}, "gaussian"),
    ],
)
def test_impossible_options_are_refused(options, match):
    with pytest.raises(ProblemError, match=match):
        simulate(TRUTH, NM, DAYS, Protocol(**options))


def test_gaps_and_unknown_sensors_are_refused():
    with pytest.raises(ProblemError, match="NaN"):
        simulate(torch.where(TRUTH > 0.4, torch.nan, TRUTH), NM, DAYS)
    with pytest.raises(SensorError, match="gf6-wfv"):
        simulate(TRUTH, NM, DAYS, Protocol(dense="gf6-wvf"))


@pytest.mark.parametrize(
    "shape, multiple", [((2, 145, 146), 6), ((1, 12, 18), 6), ((1, 5, 1), 4), ((3, 2, 2), 7)]
)
def test_padding_mirrors_without_the_edge_and_is_undone(shape, multiple):
    cube = torch.rand(shape)
    padded = pad_to_multiple(cube, multiple)
    assert padded.shape[1] % multiple == padded.shape[2] % multiple == 0
    assert padded.shape[1] - shape[1] < multiple
    torch.testing.assert_close(unpad(padded, *shape[1:]), cube)
    if min(shape[1:]) > 1:
        mirrored = np.pad(cube.numpy(), [(0, 0), *((0, -s % multiple) for s in shape[1:])], mode="reflect")
        assert np.array_equal(padded.numpy(), mirrored)
