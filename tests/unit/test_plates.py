"""Plates: error maps and scores by band are those of plain loops, and come back from JSON."""

import json
import math

import numpy as np
import pytest
import torch

from stsfusion.fusion.answer import Answer
from stsfusion.pipeline.exhibit import kernel_of
from stsfusion.pipeline.plates import MAPS, Plates, every
from stsfusion.quality.scores import score


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.1, 0.6, (5, 6, 7))
    image = truth + rng.normal(0, 0.02, truth.shape)
    truth[:, 2, 3] = 0.0
    truth[1, 0, 0] = 0.0
    truth[4] = -0.1
    return image, truth


def plain(image, truth, y, x):
    """RMSE, SAM and MRAE of one pixel."""
    pairs = [(float(image[b, y, x]), float(truth[b, y, x])) for b in range(len(truth))]
    rmse = math.sqrt(sum((a - t) ** 2 for a, t in pairs) / len(pairs))
    shares = [abs(a - t) / abs(t) for a, t in pairs if t != 0]
    dot = sum(a * t for a, t in pairs)
    long = math.sqrt(sum(a * a for a, _ in pairs) * sum(t * t for _, t in pairs))
    sam = math.degrees(math.acos(min(dot / long, 1.0))) if long else math.nan
    return rmse, sam, sum(shares) / len(shares) if shares else math.nan


def test_maps_are_those_of_plain_loops(images):
    image, truth = images
    truth[4, 2, 3] = 0.0
    plates = Plates.of(image, truth, (3, 2, 0))
    for y, x in np.ndindex(6, 7):
        rmse, sam, mrae = plain(image, truth, y, x)
        assert plates.rmse[y, x] == pytest.approx(rmse, rel=2e-3)
        assert plates.sam[y, x] == pytest.approx(sam, rel=2e-3, nan_ok=True)
        assert plates.mrae[y, x] == pytest.approx(mrae, rel=2e-3, nan_ok=True)
    assert np.isnan(plates.sam[2, 3])
    assert np.allclose(plates.look, image[[3, 2, 0]], atol=1e-3)


def test_scores_by_band_average_to_the_table(images):
    image, truth = images[0][:4], images[1][:4]
    plates = Plates.of(image, truth, (0, 1, 2))
    a, t = (torch.from_numpy(v)[None].float() for v in (image, truth))
    answer = Answer(a, torch.ones(1, 1, *a.shape[2:], dtype=torch.uint8))
    table = score(answer, t, 4, [0], names=("psnr",)).average().values["psnr"]
    assert float(plates.psnr.astype(float).mean()) == pytest.approx(table, abs=0.02)
    assert np.isnan(Plates.of(*images, (0, 1, 2)).psnr[4])


def test_they_come_back_from_json(images):
    plates = Plates.of(*images, (0, 1, 2))
    again = Plates.from_json(json.loads(json.dumps(plates.to_json())))
    for name in (*MAPS, "look", "psnr"):
        assert np.array_equal(getattr(again, name), getattr(plates, name).astype(np.float32), equal_nan=True)


def test_large_errors_stay_finite(images):
    image, truth = images
    truth[0, 0, 1] = 1e-9
    assert np.isfinite(Plates.of(image, truth, (0, 1, 2)).mrae[0, 1])


@pytest.mark.parametrize(("size", "count"), [((200, 256), 256), ((257, 10), 128), ((1000, 20), 250)])
def test_large_images_are_thinned(size, count):
    assert len(range(max(size))[every(size)]) == pytest.approx(count, abs=1)


def test_the_kernel_is_the_networks_own_or_the_models():
    own = torch.arange(9.0)[None]
    model = torch.eye(6) / 6
    learnt = kernel_of({"0.psf": own, "0.model.kernel": model})
    assert learnt == {"learnt": True, "weights": own.reshape(3, 3).tolist()}
    fixed = kernel_of({"0.psf": torch.zeros(4, 9), "0.model.kernel": model})
    assert fixed["learnt"] is False
    assert np.allclose(fixed["weights"], model)
    assert kernel_of({"0.weights": own}) is None
