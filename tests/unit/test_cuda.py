"""Without dask-cuda or a GPU, what is missing is said before anything begins."""

import sys
from types import SimpleNamespace

import pytest

from stsfusion.errors import PlanError
from stsfusion.running.cuda import Cuda


def run():
    return Cuda().run(abs, [1], lambda key, end: None)


def test_dask_cuda_that_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_cuda", None)
    with pytest.raises(PlanError, match=r"(?s)executor 'cuda': .*library dask-cuda.*stsfusion\[cuda\]"):
        run()


def no_driver():
    raise RuntimeError("NVML shared library not found")


@pytest.mark.parametrize(("count", "why"), [(no_driver, "NVML shared library"), (lambda: 0, "got none")])
def test_a_machine_without_a_gpu(monkeypatch, count, why):
    library = SimpleNamespace(utils=SimpleNamespace(get_n_gpus=count))
    monkeypatch.setitem(sys.modules, "dask_cuda", library)
    with pytest.raises(PlanError, match=rf"(?s)expected an NVIDIA GPU.*{why}.*nvidia-smi"):
        run()


def test_no_tasks_need_no_gpu():
    assert Cuda().run(abs, [], lambda key, end: None).done == 0
