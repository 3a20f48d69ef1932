"""Checkpoints: what is kept, what is found again, and what must never be taken up."""

import pytest
import torch

from stsfusion.learning.checkpoint import Walk, checkpoints, keep, name_of, recall
from stsfusion.learning.training import Schedule
from stsfusion.learning.training import train as train_network


class Killed(Exception):
    pass


def train(steps, die_at=None, seed=0):
    """A small Adam that draws its examples; dies after `die_at` steps."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.nn.Parameter(torch.zeros(7))
    optimiser = torch.optim.Adam([weight], lr=0.1)
    walk = Walk(name_of({"seed": seed}, {"aim": torch.arange(7.0)}), [weight], [optimiser], generator)
    done = walk.resume()
    for step in range(done, steps):
        if step == die_at:
            raise Killed
        optimiser.zero_grad()
        loss = (torch.rand(7, generator=generator) * (weight - torch.arange(7.0)).square()).sum()
        loss.backward()
        optimiser.step()
        walk.history.append(float(loss.detach()))
        walk.keep(step + 1, last=step + 1 == steps)
    return weight.detach(), done


def test_a_training_that_died_goes_on_to_the_same_bytes(tmp_path):
    whole, _ = train(20)
    with checkpoints(tmp_path, every=0), pytest.raises(Killed):
        train(20, die_at=11)
    with checkpoints(tmp_path, every=0):
        resumed, done = train(20)
    assert done == 11
    assert torch.equal(resumed, whole)


def test_without_the_moments_the_bytes_are_others(tmp_path, monkeypatch):
    whole, _ = train(20)
    monkeypatch.setattr(Walk, "_restore_moments", lambda walk, tensors: None)
    with checkpoints(tmp_path, every=0), pytest.raises(Killed):
        train(20, die_at=11)
    with checkpoints(tmp_path, every=0):
        assert not torch.equal(train(20)[0], whole)


def test_a_finished_training_is_not_walked_again(tmp_path):
    with checkpoints(tmp_path):
        first, _ = train(5)
    with checkpoints(tmp_path) as opened:
        again, done = train(5, die_at=0)
    assert done == 5
    assert torch.equal(first, again)
    assert opened.before > 0


def test_a_network_that_died_goes_on_to_the_same_bytes(tmp_path):
    def network(die_at=None):
        generator = torch.Generator().manual_seed(3)
        weight = torch.nn.Parameter(torch.ones(4))
        said = []

        def loss_of():
            if len(said) == die_at:
                raise Killed
            return (torch.randn(4, generator=generator) * weight - 1).square().sum()

        name = name_of({"a": 1}, {})
        tick = lambda done, words: said.append(words)  # noqa: E731
        course = train_network([weight], loss_of, Schedule(12, 0.1), tick, name=name, drawing=generator)
        return weight.detach(), course.history, said

    whole, losses, words = network()
    with checkpoints(tmp_path, every=0), pytest.raises(Killed):
        network(die_at=7)
    with checkpoints(tmp_path, every=0):
        resumed, again, rest = network()
    assert torch.equal(resumed, whole)
    assert again == losses
    assert rest == words[7:]


def test_the_clock_decides_what_is_written(tmp_path):
    with checkpoints(tmp_path, every=3600), pytest.raises(Killed):
        train(20, die_at=11)
    assert not list(tmp_path.iterdir())


def test_another_problem_is_never_taken_up(tmp_path):
    with checkpoints(tmp_path, every=0):
        train(5, seed=0)
        assert train(5, seed=1)[1] == 0
        names = {
            name_of(settings, {"a": data})
            for settings in ({"rate": 1.0}, {"rate": 2.0})
            for data in (torch.zeros(4), torch.zeros(2, 2), torch.ones(4))
        }
    assert len(names) == 6


def test_outside_nothing_is_written_or_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(5)
    assert recall("anything") is None
    with checkpoints(tmp_path):
        pass
    keep("anything", lambda: {"a": torch.ones(1)}, 1, last=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_none(tmp_path, damage):
    with checkpoints(tmp_path, every=0):
        train(5)
        (file,) = tmp_path.glob("*.safetensors")
        file.write_bytes(file.read_bytes()[:-4] if damage is None else damage)
        assert train(5)[1] == 0


def test_a_death_while_writing_leaves_the_last_whole_one(tmp_path, monkeypatch):
    with checkpoints(tmp_path, every=0):
        keep("some", lambda: {"a": torch.ones(1)}, 3)

        def die(*_):
            raise Killed

        monkeypatch.setattr("os.replace", die)
        with pytest.raises(Killed):
            keep("some", lambda: {"a": torch.zeros(1)}, 4)
        tensors, step = recall("some")
    assert step == 3
    assert float(tensors["a"]) == 1.0
