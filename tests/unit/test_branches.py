"""The branches, what fuses them, and the lessons that judge them."""

import torch

from stsfusion.learning.branches import HIDDEN, BranchNet, Outputs
from stsfusion.learning.curriculum import TASKS, Curriculum
from stsfusion.learning.features import Layout
from stsfusion.learning.head import Head
from stsfusion.learning.layers import initialise
from stsfusion.learning.lessons import exercises
from stsfusion.learning.posing import Asked
from stsfusion.learning.preparation import learn_head
from stsfusion.learning.ridge import Affine
from stsfusion.learning.units import learn_units
from stsfusion.testing import tiny_problem

LAYOUT = Layout(rank=3, dense=4, sharp=2, axes=2)


def net_and_head(silent=True, kernels=(1, 3)):
    net = BranchNet(LAYOUT, 8, 2, kernels)
    initialise(net, torch.Generator().manual_seed(0), net.quiet if silent else ())
    generator = torch.Generator().manual_seed(1)
    maps = [Affine(torch.randn(LAYOUT.values, 3, generator=generator), torch.zeros(3)) for _ in range(2)]
    return net.requires_grad_(False), Head(*maps, LAYOUT, torch.eye(4, 2))


def features(seed=0, size=12):
    return torch.randn(5, LAYOUT.channels, size, size, generator=torch.Generator().manual_seed(seed))


def test_the_untrained_network_says_what_the_head_says():
    net, head = net_and_head()
    x = features()
    answer = net(x, head)
    torch.testing.assert_close(answer.scores, head.revised(x, x[:, LAYOUT.part("now")]))
    assert torch.equal(answer.spatial, x[:, LAYOUT.part("now")])
    assert torch.equal(answer.temporal, x[:, LAYOUT.part("sharp")])
    assert torch.equal(answer.spectral, x[:, LAYOUT.part("scores")])


def test_a_pixel_is_felt_as_far_as_the_blocks_reach():
    net, head = net_and_head(silent=False)
    x = features()
    other = x.clone()
    other[2, :, 6, 6] += 1.0
    moved = ((net(other, head).scores - net(x, head).scores).abs().sum((0, 1)) > 1e-6).nonzero()
    assert moved.amin(0).tolist() == [4, 4]
    assert moved.amax(0).tolist() == [8, 8]


def test_units_that_are_dropped_say_nothing():
    net, head = net_and_head(silent=False)
    x = features()
    answer = net(x, head, torch.zeros(5, HIDDEN, 12, 12))
    bias = net.last.bias[:, None, None]
    torch.testing.assert_close(answer.scores, head.revised(x, answer.spatial) + bias)


def curriculum(problem, dropout=0.5):
    units = learn_units([problem], rank=4, share=1.0, axes=2, passes=2, by="test")
    asked = [Asked.of(exercise, units) for exercise in exercises([problem], 3)]
    posed = [(each.exercise, each.features(1e-3)) for each in asked]
    head = learn_head(posed, units, penalty=1e-4, curved=True)
    return Curriculum.of(posed, units, head, patch=24, dropout=dropout), units


def test_every_task_is_judged_and_teaches_the_network():
    made, units = curriculum(tiny_problem().question())
    net = BranchNet(units.layout, 8, 1, (1, 3))
    initialise(net, torch.Generator().manual_seed(0), net.quiet)
    generator = torch.Generator().manual_seed(4)
    for _ in range(6):
        losses = made.losses(net, generator)
        assert set(losses) == set(TASKS)
        sum(losses.values()).backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in net.parameters())
    assert all(float(layer.weight.grad.abs().max()) > 0 for layer in net.quiet)


def test_a_perfect_answer_costs_next_to_nothing():
    """The truth's own scores, judged at the true scale: what is left is the sensors' noise."""
    problem = tiny_problem()
    made, units = curriculum(problem.question())
    lesson = made.groups[0][0]
    scores, _ = units.subspace.project(problem.truth, torch.ones(1, 1, 1, 1, dtype=torch.bool))
    wrong = scores + 0.3
    costs = []
    for answer in (scores, wrong):
        judged = made.judge(said(answer), lesson.labels)
        costs.append({task: float(loss) for task, loss in judged.items()})
    for task in ("rich", "sharp", "dense"):
        assert costs[0][task] < 0.2 * costs[1][task]


def said(scores):
    zeros = torch.zeros(len(scores), 5, *scores.shape[2:])
    return Outputs(scores, zeros, zeros[:, :4], scores)


def test_what_is_kept_keeps_its_mean():
    made, _ = curriculum(tiny_problem().question())
    kept = made._kept(torch.zeros(5, 1, 40, 40), torch.Generator().manual_seed(0))
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert abs(float(kept.mean()) - 1.0) < 0.01


def test_gaps_in_time_are_told_shorter_and_nothing_else_changes():
    made, units = curriculum(tiny_problem().question())
    x = made.groups[1][0].features
    told = made._hurried(x, torch.Generator().manual_seed(2))
    codes = units.layout.part("codes")
    rest = [c for c in range(x.shape[1]) if not codes.start <= c < codes.stop]
    assert torch.equal(told[:, rest], x[:, rest])
    ratio = (told[:, codes] / x[:, codes])[x[:, codes] > 0].unique()
    assert 0.3 <= float(ratio.min()) < 1.0
    assert torch.equal(told[:, units.layout.seen], x[:, units.layout.seen])


def test_nothing_is_held_back_unless_asked():
    made, _ = curriculum(tiny_problem().question())
    assert not made.exams


def taught(problem, **options):
    units = learn_units([problem], rank=4, share=1.0, axes=2, passes=2, by="test")
    asked = [Asked.of(exercise, units) for exercise in exercises([problem], 3)]
    posed = [(each.exercise, each.features(1e-3)) for each in asked]
    head = learn_head(posed, units, penalty=1e-4, curved=True)
    return Curriculum.of(posed, units, head, patch=24, dropout=0.5, **options), units


def test_no_lesson_hides_a_date_when_told_so_and_all_else_stays():
    problem = tiny_problem().question()
    (made, _), (bare, _) = taught(problem), taught(problem, hiding=False)
    assert [group[0].hidden for group in made.groups if not group[0].hidden] == [
        group[0].hidden for group in bare.groups
    ]
    assert any(group[0].hidden for group in made.groups)
    assert float(bare.chances[0] / bare.chances[1]) == 0.5
    assert torch.equal(bare.head.unseen.slope, made.head.unseen.slope)
    assert torch.equal(bare.to_dense.slope, made.to_dense.slope)


def test_exams_ask_hidden_dates_where_no_lesson_says_anything():
    problem = tiny_problem(size=96).question()
    made, _ = taught(problem, holding=True)
    whole, _ = taught(problem)
    assert made.exams
    for exam in made.exams:
        (date,) = exam.hidden
        label = exam.labels["rich"]
        asked = [d for d, w in zip(label.dates, label.weight, strict=True) if bool((w > 0).any())]
        assert asked == [date]
    for group, all_of_it in zip(made.groups, whole.groups, strict=True):
        for role, label in group[0].labels.items():
            veil = all_of_it[0].labels[role].weight > 0
            share = float((veil & (label.weight == 0)).sum() / veil.sum())
            assert 0.05 < share < 0.3


def test_an_exam_is_better_for_a_better_answer():
    problem = tiny_problem(size=96)
    made, _ = taught(problem.question(), holding=True)

    class Says(torch.nn.Module):
        def __init__(self, off):
            super().__init__()
            self.off = off

        def forward(self, x, head):
            return Outputs(head(x) + self.off, x, x, x)

    costs = [made.exam(Says(off)) for off in (0.0, 0.3)]
    assert costs == [made.exam(Says(off)) for off in (0.0, 0.3)]
    assert costs[0] < 0.7 * costs[1]


def test_convolutions_are_eased_on_a_gpu_in_training_alone(monkeypatch):
    net, _ = net_and_head()
    eased = BranchNet(LAYOUT, 8, 2, (1, 3), mixed=True)
    here = features()
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype, enabled: (kind, dtype, enabled))

    class There:
        is_cuda = True
        device = torch.device("cuda")

    assert eased._eased(There()) == ("cuda", torch.bfloat16, True)
    assert not eased._eased(here)[2]
    assert not net._eased(There())[2]
    assert not eased.eval()._eased(There())[2]
