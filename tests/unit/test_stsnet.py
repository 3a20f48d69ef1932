"""stsnet on small problems: what it must be whatever it learns."""

from dataclasses import replace

import pytest
import torch

from stsfusion.errors import MethodError, ProblemError
from stsfusion.fusion.answer import Quality
from stsfusion.fusion.memory import peak_bytes
from stsfusion.fusion.method import Geometry
from stsfusion.fusion.wald import hide
from stsfusion.fusion.weights import load_state, save_state
from stsfusion.learning.units import learn_units
from stsfusion.methods.lineartime import LinearTime
from stsfusion.methods.stsnet import STSNet
from stsfusion.testing import fuse_tiled, tiny_problem
from stsfusion.window import Window


@pytest.fixture(scope="module")
def problem():
    return tiny_problem(size=48)


@pytest.fixture(scope="module")
def method(problem):
    return STSNet.example(steps=40).fit([problem.question()])


def error(answer, problem, dates):
    return float((answer.full() - problem.truth)[dates].square().mean().sqrt())


def test_a_quick_fit_beats_linear_interpolation_where_no_date_was_seen(method, problem):
    plain = LinearTime().fuse(problem.question())
    fused = method.fuse(problem.question())
    assert error(fused, problem, [1, 3]) < 0.5 * error(plain, problem, [1, 3])
    assert error(fused, problem, [0, 2, 4]) < 0.5 * error(plain, problem, [0, 2, 4])


@pytest.mark.parametrize("kernels, ratios", [((1,), (3, 2)), ((1, 3), (3, 2)), ((1, 3, 5), (2, 1))])
def test_tiles_with_the_halo_give_the_whole(kernels, ratios):
    big = tiny_problem(size=96, ratios=ratios, gaps=True)
    small = big.crop(Window((0, 5), (0, 48), (0, 48)))
    method = STSNet.example(steps=3, kernels=kernels, rate=0.02).fit([small.question()])
    whole = method.fuse(big.question()).full()
    assert float((fuse_tiled(method, big, 24) - whole).abs().max()) <= method.card.seam


def test_a_smaller_halo_would_leave_a_seam():
    class Short(STSNet):
        def halo(self, geometry):
            return 6

    big = tiny_problem(size=96)
    small = big.crop(Window((0, 5), (0, 48), (0, 48)))
    method = Short.example(steps=3, rate=0.02).fit([small.question()])
    whole = method.fuse(big.question()).full()
    assert float((fuse_tiled(method, big, 24) - whole).abs().max()) > method.card.seam


def test_strips_give_what_one_piece_gives(method, problem, monkeypatch):
    whole = method.fuse(problem.question()).full()
    monkeypatch.setattr("stsfusion.methods.stsnet._STRIP", 7)
    torch.testing.assert_close(method.fuse(problem.question()).full(), whole, atol=1e-6, rtol=0)


def test_the_halo_grows_with_what_it_is_made_of():
    geometry = Geometry({"rich": 3, "dense": 2, "sharp": 1}, {"rich": 4, "dense": 2, "sharp": 0})
    halo = STSNet().halo(geometry)
    assert STSNet(blocks=4).halo(geometry) == halo + 1
    assert STSNet(kernels=(1, 3, 5)).halo(geometry) == halo + 3
    assert STSNet(branches=False).halo(geometry) == STSNet(kernels=(1,)).halo(geometry) == halo - 3
    assert STSNet(passes=3).halo(geometry) > halo


def test_a_seed_repeats_and_another_does_not(problem):
    asked = problem.question()
    first, second = (STSNet.example(seed=1).fit([asked]).state for _ in range(2))
    other = STSNet.example(seed=2).fit([asked]).state
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_processs_random_state_is_left_alone(problem):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    STSNet.example(steps=2).fit([problem.question()]).fuse(problem.question())
    assert torch.equal(before, torch.get_rng_state())


def test_another_truth_changes_nothing(method, problem):
    noise = replace(problem, truth=torch.rand(problem.target.shape))
    again = STSNet.example(steps=40).fit([noise])
    assert all(torch.equal(tensor, again.state[name]) for name, tensor in method.state.items())


def test_saved_and_loaded_it_answers_the_same(method, problem, tmp_path):
    save_state(method, tmp_path / "weights.safetensors")
    loaded = load_state(STSNet.example(steps=40), tmp_path / "weights.safetensors")
    asked = problem.question()
    assert torch.equal(loaded.fuse(asked).full(), method.fuse(asked).full())


def test_without_branches_only_the_head_is_left(method, problem):
    bare = method.without_branches()
    untrained = STSNet.example(steps=0).fit([problem.question()])
    head = bare.fuse(problem.question()).full()
    torch.testing.assert_close(untrained.fuse(problem.question()).full(), head, atol=1e-6, rtol=0)
    assert float((method.fuse(problem.question()).full() - head).abs().max()) > 1e-4


def test_without_branches_nothing_is_trained(problem):
    told = []
    STSNet.example(branches=False).fit([problem.question()], lambda done, words: told.append(words))
    assert not [words for words in told if words.startswith("step")]


def test_the_flags_say_who_saw_what(problem, method):
    asked = hide(problem.question(), "dense", [3])
    flags = method.fuse(asked).quality
    wanted = [Quality.OBSERVED, Quality.FUSED, Quality.OBSERVED, Quality.INTERPOLATED, Quality.OBSERVED]
    assert [int(flags[t].unique()) for t in range(5)] == [int(q) for q in wanted]


def test_a_dense_date_outside_the_series_is_fused_and_an_unseen_one_extrapolated(problem, method):
    asked = hide(hide(hide(problem.question(), "rich", [4]), "sharp", [4]), "dense", [4])
    assert int(method.fuse(asked).quality[4].unique()) == int(Quality.EXTRAPOLATED)


def clouded(problem):
    """The same with the hyperspectral sensor under clouds throughout, on all dates."""
    return replace(problem, rich=replace(problem.rich, valid=torch.zeros_like(problem.rich.valid)))


def test_a_hyperspectral_sensor_that_saw_nothing_is_refused(problem):
    with pytest.raises(ProblemError, match="gaps everywhere"):
        STSNet.example(steps=0).fit([clouded(problem).question()])


def test_nothing_is_learned_from_a_tile_that_is_all_cloud(problem):
    """The units are those of the clear tile alone."""
    asked = [problem.question(), clouded(problem).question()]
    settings = {"rank": 6, "share": 0.99999, "axes": 3, "passes": 2, "by": "mine"}
    alone, both = learn_units(asked[:1], **settings), learn_units(asked, **settings)
    for name, tensor in alone.subspace.tensors().items():
        assert torch.equal(both.subspace.tensors()[name], tensor), name


def test_a_tile_that_is_all_cloud_takes_no_lesson_from_the_others(method, problem):
    """Wherever among the tiles it comes."""
    asked = [clouded(problem).question(), problem.question()]
    fused = STSNet.example(steps=40).fit(asked).fuse(problem.question())
    alone = method.fuse(problem.question())
    assert error(fused, problem, [1, 3]) < 1.5 * error(alone, problem, [1, 3])


def test_a_band_that_is_dead_in_all_tiles_does_not_hold_the_others_back(problem):
    valid = problem.rich.valid.expand_as(problem.rich.data).clone()
    valid[:, 3] = False
    lame = replace(problem, rich=replace(problem.rich, valid=valid)).question()
    units = learn_units([lame, lame], rank=6, share=0.99999, axes=3, passes=2, by="mine")
    assert not units.subspace.basis[:, 3].abs().amax() > 1e-6
    assert units.subspace.rank > 1


def test_a_masked_block_is_answered_from_what_is_left(method, problem):
    """The answer under a gap of one sensor stays far closer to the truth than the spread of the scene."""
    valid = torch.ones(3, 1, 16, 16, dtype=torch.bool)
    valid[1, :, 4:10, 4:10] = False
    rich = replace(problem.rich, valid=valid)
    fused = method.fuse(replace(problem, rich=rich).question()).full()
    off = (fused - problem.truth)[2, :, 12:30, 12:30].square().mean().sqrt()
    assert float(off) < 0.35 * float(problem.truth[2].std())


@pytest.mark.parametrize("dates", [1, 2, 3])
def test_short_series_are_fused(dates):
    short = tiny_problem(dates=dates)
    answer = STSNet.example(steps=2).fit([short.question()]).fuse(short.question())
    assert bool(torch.isfinite(answer.full()).all())


def test_several_tiles_and_a_coarser_sharp_sensor():
    big = tiny_problem(size=96, ratios=(4, 2))
    tiles = [big.crop(Window((0, 5), (r, r + 48), (c, c + 48))).question() for r in (0, 48) for c in (0, 48)]
    method = STSNet.example(steps=4).fit(tiles)
    assert method.fuse(big.question()).shape == big.target.shape


def test_tiles_of_other_dates_are_refused(problem):
    other = tiny_problem(dates=3)
    with pytest.raises(MethodError, match="tiles of the same dates"):
        STSNet.example().fit([problem.question(), other.question()])


def test_a_tile_too_small_to_be_degraded_is_refused(problem):
    tiny = problem.crop(Window((0, 5), (0, 12), (0, 12))).question()
    with pytest.raises(ProblemError, match="at least 18×18"):
        STSNet.example().fit([tiny])


def test_no_tiles_are_refused():
    with pytest.raises(MethodError, match="at least one tile"):
        STSNet.example().fit([])


def test_every_step_is_told(problem):
    told = []
    STSNet.example(steps=3).fit([problem.question()], lambda done, words: told.append((done, words)))
    assert told[0][1] == "subspace and regressions"
    assert [words.split(",")[0] for _, words in told[1:]] == [f"step {i} of 3" for i in (1, 2, 3)]
    assert told[-1][0] == 1.0


CLOSED = ("subspace.", "scaling.", "detail.", "head.", "sharp_days")


@pytest.mark.parametrize(
    "option", [{"multitask": False}, {"weighted": False}, {"date_dropout": False}, {"kernels": (1,)}]
)
def test_an_ablation_changes_the_network_and_nothing_of_what_precedes_it(method, problem, option):
    asked = problem.question()
    whole = STSNet.example(steps=4, rate=0.02).fit([asked])
    less = STSNet.example(steps=4, rate=0.02, **option).fit([asked])
    closed = [name for name in whole.state if name.startswith(CLOSED)]
    assert closed == [name for name in less.state if name.startswith(CLOSED)]
    assert all(torch.equal(whole.state[name], less.state[name]) for name in closed)
    assert float((whole.fuse(asked).full() - less.fuse(asked).full()).abs().max()) > 1e-6


def test_a_single_task_leaves_what_only_other_tasks_teach(problem):
    """The exits of the temporal and spectral branches answer their own tasks alone."""
    single = STSNet.example(multitask=False).fit([problem.question()]).state
    assert not any(bool(single[f"net.{branch}.exit.weight"].any()) for branch in ("temporal", "spectral"))
    assert bool(single["net.last.weight"].any())


def test_training_ends_before_its_steps_when_nothing_is_gained(monkeypatch):
    monkeypatch.setattr("stsfusion.learning.network.EVERY", 3)
    big = tiny_problem(size=72).question()
    first, again = (STSNet.example(steps=200, patience=1, width=4).fit([big]) for _ in range(2))
    assert 9 <= float(first.curve[-1, 0]) < 200
    assert all(torch.equal(tensor, again.state[name]) for name, tensor in first.state.items())


@pytest.mark.parametrize(
    ("size", "bands", "settings"),
    [
        (96, 40, {}),
        (144, 40, {}),
        (96, 80, {"rank": 24, "variance": 1.0}),
        (96, 40, {"width": 16, "kernels": (1, 3, 5)}),
        (96, 40, {"branches": False}),
    ],
)
def test_it_holds_what_it_expects_to_hold(size, bands, settings):
    problem = tiny_problem(size=size, bands=bands, dates=3).question()
    method = STSNet(**{"steps": 0, "kernels": (3,), **settings}).fit([problem])
    held = peak_bytes(lambda: method.fuse(problem))
    expected = method.peak(problem.target.shape, Geometry.of(problem))
    assert 0.8 * expected < held <= expected
