"""NetworkMethod: what trained methods share; a new one says how to prepare, build and judge its network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor, nn

from stsfusion.errors import MethodError
from stsfusion.fusion.method import FusionMethod, Tick, silent
from stsfusion.fusion.problem import Problem
from stsfusion.fusion.weights import settings_of
from stsfusion.learning.checkpoint import name_of
from stsfusion.learning.layers import initialise
from stsfusion.learning.losses import TaskWeights
from stsfusion.learning.plateau import EVERY, Plateau
from stsfusion.learning.training import Schedule, train

__all__ = ["Lessons", "NetworkMethod", "part"]


@dataclass(frozen=True)
class Lessons:
    """What a network is taught, and asked afterwards."""

    losses: Callable[[nn.Module, torch.Generator], Mapping[str, Tensor]]
    """Draws one example and gives the loss of every task; training walks it step by step."""

    judge: Callable[[nn.Module], float] | None = None
    """The loss on what is never drawn, always the same; None: nothing is held back."""


_NET = "net."

_CURVE = "curve"


@dataclass(frozen=True, eq=False)
class _Held:
    """A network that stays in this process, outside of its method: that is sent and copied without it."""

    state: Mapping[str, Tensor]
    """The very state that it was built from."""

    asked: tuple[torch.device, Mapping[str, Any]]
    """Its device, and the method's settings."""

    net: nn.Module
    """In its last shape: nothing is learned any more."""


_held: dict[str, _Held] = {}
"""The network that was asked for last; no more than one, since it may fill a GPU."""


@dataclass
class NetworkMethod(FusionMethod):
    """A method whose `fit` is closed-form preparation, then training on the region itself."""

    steps: int = field(default=2000, metadata={"ge": 0, "le": 10000000})
    """Steps of the optimiser; the most there are, where `patience` ends them."""

    rate: float = 3e-3
    """Largest learning rate."""

    seed: int = 0
    """Of the first weights and of every random choice."""

    patience: int = field(default=3, metadata={"ge": 0, "le": 1000})
    """Exams on what was held back, one every 100 steps, without gain after which the rate falls to a fifth;
    the third fall ends the training, and the best weights are kept. 0: nothing is held back, all steps are
    walked; so are fewer steps than it takes to lose patience."""

    multitask: bool = True
    """Learn all tasks; False: the first alone, which is the answer."""

    weighted: bool = True
    """Weigh the tasks by learned c (sum L/(2c²) + ln(1 + c²)); False: all weights stay one half."""

    mixed: bool = True
    """On a GPU, convolve in bfloat16 while training; what is lost is counted in full precision."""

    half: bool = False
    """On a GPU, convolve in bfloat16 while fusing, too: faster, and off by a few parts in a thousand of what
    the network adds. `python -m stsfusion.gpu` tells both."""

    @abstractmethod
    def prepare(self, problems: Sequence[Problem], tick: Tick) -> tuple[dict[str, Tensor], Lessons]:
        """What is learned in closed form, and the examples with their losses."""

    @abstractmethod
    def build(self, state: Mapping[str, Tensor]) -> nn.Module:
        """The network, sized by the state; its weights need not be set."""

    @property
    @abstractmethod
    def tasks(self) -> tuple[str, ...]:
        """Names of all losses, the answer's first."""

    @property
    def walked(self) -> int:
        """Steps that training takes with these settings."""
        return self.steps

    @property
    def watched(self) -> bool:
        """Whether something is held back, so that training may end before its steps do."""
        return 0 < self.patience * EVERY < self.walked

    def silent_layers(self, net: nn.Module) -> Sequence[nn.Module]:
        """Layers that start at zero."""
        return ()

    def fit(self, problems: Sequence[Problem], tick: Tick = silent) -> Self:
        """Prepare in closed form, then train; the same seed and threads give the same bytes.

        Raises
        ------
        MethodError
            When there is nothing to learn from.
        """
        if not problems:
            raise MethodError(
                f"method '{self.card.name}', fit", expected="at least one tile", mend="Sample some tiles."
            )
        asked = [problem.question() for problem in problems]
        with torch.no_grad():
            state, lessons = self.prepare(asked, tick)
        net, curve = self._trained(state, lessons, asked, tick)
        learned = {_NET + name: tensor.contiguous() for name, tensor in net.state_dict().items()}
        return self.with_state({**state, **learned, **({_CURVE: curve.float()} if len(curve) else {})})

    @property
    def curve(self) -> Tensor:
        """(exams, 2) steps and the loss on what was held back while it was trained; empty if nothing was."""
        return self.fitted().get(_CURVE, torch.zeros(0, 2))

    def _trained(
        self, state: Mapping[str, Tensor], lessons: Lessons, problems: Sequence[Problem], tick: Tick
    ) -> tuple[nn.Module, Tensor]:
        device = next(iter(problems[0].observations.values())).data.device
        generator = torch.Generator().manual_seed(self.seed)
        with torch.device("meta"):
            net = self.build(state)
        net.to_empty(device=device)
        initialise(net, generator, self.silent_layers(net))
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        weights = TaskWeights(self.tasks if self.multitask else self.tasks[:1]).to(device)
        weights.requires_grad_(self.weighted)
        course = train(
            [p for p in (*net.parameters(), *weights.parameters()) if p.requires_grad],
            lambda: weights(lessons.losses(net, generator)),
            Schedule(self.walked, self.rate),
            tick,
            name=self._name(problems),
            drawing=generator,
            plateau=self._plateau(net, lessons),
        )
        return net.eval().requires_grad_(False), course.curve

    def _plateau(self, net: nn.Module, lessons: Lessons) -> Plateau | None:
        judge = lessons.judge
        if judge is None or not self.watched:
            return None

        def asked() -> float:
            net.eval()
            with torch.no_grad():
                lost = judge(net)
            net.train()
            return lost

        return Plateau(asked, every=EVERY, tries=self.patience)

    def _name(self, problems: Sequence[Problem]) -> str:
        """What this training is called where checkpoints are open: by its settings and all that it sees."""
        seen = {
            f"{place} {role} {what}": tensor
            for place, problem in enumerate(problems)
            for role, observation in problem.observations.items()
            for what, tensor in (("data", observation.data), ("valid", observation.valid))
        }
        return name_of(settings_of(self), seen)

    def network(self, device: torch.device) -> nn.Module:
        """The trained network, on a device; built once for all tiles of a process."""
        held, asked = _held.get("last"), (device, settings_of(self))
        if held is None or held.state is not self._state or held.asked != asked:
            held = _held["last"] = _Held(self._state, asked, self._built(device))
        return held.net

    def _built(self, device: torch.device) -> nn.Module:
        state = self.fitted()
        with torch.device("meta"):
            net = self.build(state)
        net.load_state_dict(
            {name: t.to(device) for name, t in part(state, _NET).items()}, strict=True, assign=True
        )
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return net.eval().requires_grad_(False)


def part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries of the state under a prefix, without it."""
    return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}
