"""Every method on another device, by discovery: a pretended one, so that no GPU is needed to find mix-ups."""

import typing
from dataclasses import dataclass, fields, replace

import pytest
import torch
from elsewhere import Astray, check_devices
from pretended import DEVICE, NAME, TwoDevices, pretended

from stsfusion import methods
from stsfusion.fusion.examples import tiny_problem_for
from stsfusion.learning import similar
from stsfusion.methods.bicubic import Bicubic
from stsfusion.methods.gsa import GSA
from stsfusion.window import Window

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason="there is a real GPU: python -m stsfusion.gpu"
)


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch):
    """As many blocks at once as there."""
    monkeypatch.setitem(similar._TOGETHER, NAME, similar._TOGETHER["cuda"])


def _question(cls, **options):
    return tiny_problem_for(cls.example().card, **{"gaps": True, **options}).question()


@pytest.mark.parametrize("name", methods.names())
def test_method(name):
    cls = methods.kind(name)
    check_devices(cls.example, [_question(cls, dates=3)])


def _choices():
    """Every method with each of its words and switches set otherwise than in its example."""
    for name in methods.names():
        cls = methods.kind(name)
        usual, kinds = cls.example(), typing.get_type_hints(cls)
        for field in fields(cls):
            for value in _values(kinds[field.name]) if field.init else ():
                if value != getattr(usual, field.name):
                    yield pytest.param(cls, {field.name: value}, id=f"{name}-{field.name}-{value}")


def _values(kind):
    if kind is bool:
        return [False, True]
    if typing.get_origin(kind) is typing.Literal:
        return list(typing.get_args(kind))
    several = [each for part in typing.get_args(kind) for each in _values(part)]
    return [*several, None] if type(None) in typing.get_args(kind) else several


@pytest.mark.slow
@pytest.mark.parametrize(("cls", "settings"), list(_choices()))
def test_choice(cls, settings):
    check_devices(lambda: cls.example(**settings), [_question(cls)])


def _each(problem, change):
    return problem.with_observations({role: change(seen) for role, seen in problem.observations.items()})


def _without_noise(problem):
    return _each(problem, lambda seen: replace(seen, noise=None))


def _with_dead_bands(problem):
    """The second band of every sensor is valid nowhere, the third half of the time."""

    def spoilt(seen):
        valid = seen.valid.expand(seen.data.shape).clone()
        valid[:, 1] = False
        valid[: len(valid) // 2, 2] = False
        return replace(seen, valid=valid)

    return _each(problem, spoilt)


def _of_unknown_sensors(problem):
    def blind(seen):
        view = seen.view
        spectral, spatial = replace(view.spectral, known=False), replace(view.spatial, known=False)
        return replace(seen, view=replace(view, spectral=spectral, spatial=spatial))

    return _each(problem, blind)


def _clouded(problem):
    """A block without any valid pixel on all dates."""

    def under(seen):
        valid = seen.valid.clone()
        valid[..., : valid.shape[2] // 3, : valid.shape[3] // 3] = False
        return replace(seen, valid=valid)

    return _each(problem, under)


QUESTIONS = {
    "five dates": lambda cls: [_question(cls)],
    "no noise told": lambda cls: [_without_noise(_question(cls))],
    "dead bands": lambda cls: [_with_dead_bands(_question(cls))],
    "unknown sensors": lambda cls: [_of_unknown_sensors(_question(cls))],
    "clouds": lambda cls: [_clouded(_question(cls))],
    "one date": lambda cls: [_question(cls, dates=1, gaps=False)],
    "several tiles": lambda cls: [
        _question(cls, size=72).crop(Window((0, 5), (0, 72), cols)) for cols in ((0, 48), (24, 72))
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", methods.names())
def test_question(name, question):
    cls = methods.kind(name)
    check_devices(cls.example, QUESTIONS[question](cls))


def _without_roles():
    for name in methods.names():
        cls = methods.kind(name)
        for role in cls.example().card.uses:
            yield pytest.param(cls, role, id=f"{name}-{role}")


@pytest.mark.slow
@pytest.mark.parametrize(("cls", "role"), list(_without_roles()))
def test_without_a_sensor(cls, role):
    check_devices(cls.example, [_question(cls).with_observations({role: None})])


@pytest.mark.parametrize("roles", [("rich", "sharp", "dense"), ("rich", "dense")])
def test_a_dead_band(roles):
    question = _question(methods.kind("jointlr"), ratios=(1, 3), roles=roles)
    valid = question.rich.valid.expand(question.rich.data.shape).clone()
    valid[:, 7] = False
    lame = question.with_observations({"rich": replace(question.rich, valid=valid)})
    check_devices(methods.kind("jointlr").example, [lame])


@pytest.mark.slow
@pytest.mark.parametrize("ratios", [(3, 1), (1, 3)])
@pytest.mark.parametrize("name", [name for name in methods.names() if methods.card(name).finest])
def test_with_another_in_the_sharp_one_s_place(name, ratios):
    cls = methods.kind(name)
    check_devices(cls.example, [_question(cls, ratios=ratios).with_observations({"sharp": None})])


@dataclass
class Mixing(Bicubic):
    """Adds a map that it made on the CPU."""

    def fuse(self, problem):
        answer = super().fuse(problem)
        return replace(answer, values=answer.values + torch.zeros(answer.shape))


@dataclass
class Homesick(Bicubic):
    """Gives its answer on the CPU."""

    def fuse(self, problem):
        answer = super().fuse(problem)
        return replace(answer, values=answer.values.cpu(), quality=answer.quality.cpu())


@dataclass
class HalfHome(Bicubic):
    """Forgets where the flags belong."""

    def fuse(self, problem):
        answer = super().fuse(problem)
        return replace(answer, quality=answer.quality.cpu())


@dataclass
class Outward(Bicubic):
    """Takes the way by numpy."""

    def fuse(self, problem):
        answer = super().fuse(problem)
        return replace(answer, values=torch.from_numpy(answer.values.numpy()))


@dataclass
class Drawing(Bicubic):
    """Draws there what the CPU's generator says."""

    def fuse(self, problem):
        answer = super().fuse(problem)
        dice = torch.Generator().manual_seed(0)
        drawn = torch.rand(answer.shape, generator=dice, device=answer.quality.device)
        return replace(answer, values=answer.values + 0 * drawn)


@dataclass
class Moody(Bicubic):
    """Computes otherwise where it is not at home."""

    def fuse(self, problem):
        answer = super().fuse(problem)
        return replace(answer, values=answer.values + 1e-3 * (answer.quality.device.type != "cpu"))


@dataclass
class MixingFit(GSA):
    """Learns from images there and a map of the CPU."""

    def fit(self, problems, tick=lambda done, what: None):
        seen = problems[0].rich.data
        float((seen + torch.zeros(seen.shape)).mean())
        return super().fit(problems, tick)


@dataclass
class Signed(GSA):
    """Believes the sign of an eigenvector."""

    def fit(self, problems, tick=lambda done, what: None):
        fitted = super().fit(problems, tick)
        pixels = problems[0].rich.data[0].flatten(1).double()
        first = torch.linalg.eigh(pixels @ pixels.T).eigenvectors[0, 0]
        return fitted.with_state({**fitted.state, "sign": first.float()})

    def fuse(self, problem):
        answer = super().fuse(problem)
        return replace(answer, values=answer.values + 0.01 * self.state["sign"].to(answer.values).sign())


@pytest.mark.parametrize(
    ("twin", "error", "said"),
    [
        (Mixing, TwoDevices, "tensors on two devices"),
        (Homesick, Astray, "fitted here: values came back on cpu"),
        (HalfHome, Astray, "fitted here: quality came back on cpu"),
        (Outward, TypeError, "numpy"),
        (Drawing, TwoDevices, "a generator of the CPU"),
        (Moody, Astray, "fitted here: values 0.001 off"),
        (MixingFit, TwoDevices, "tensors on two devices"),
        (Signed, Astray, "fitted there: values 0.02 off"),
    ],
)
def test_a_broken_twin_is_found_out(twin, error, said):
    with pytest.raises(error, match=said):
        check_devices(twin, [_question(twin, dates=3)])


def test_a_sound_method_from_elsewhere_passes():
    @dataclass
    class Sound(GSA):
        """Keeps to the device of what it is given."""

    check_devices(Sound, [_question(Sound, dates=3)])


def test_images_travel_and_small_weights_stay():
    problem = tiny_problem_for(GSA().card)
    with pretended():
        there = problem.to(DEVICE)
        travelled = there.truth, there.rich.data, there.rich.valid, there.rich.noise
        assert {each.device.type for each in travelled} == {DEVICE.type}
        stayed = there.target.days, there.target.wavelengths, there.rich.view.spatial.kernel
        assert {each.device.type for each in stayed} == {"cpu"}
        assert torch.equal(there.rich.view(there.truth).cpu(), problem.rich.view(problem.truth))
