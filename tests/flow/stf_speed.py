"""How fast STARFM and ESTARFM are beside a loop over pixels in numpy, and how time grows with the scene.

    python tests/flow/stf_speed.py                     192, 384 and 768 pixels a side, window 51
    python tests/flow/stf_speed.py 512 1024 --device cuda

One line a method and size: seconds, megapixels a second, times the loop's speed, peak of tensors. The loop
runs on pixels whose windows are whole, and its time is scaled to the scene. On a processor all seconds are
processor time, so that a busy machine changes little; on a GPU they are those of the clock.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

import references_stf
from stfscenes import laid_out, stf_problem

from stsfusion.fusion.memory import peak_bytes
from stsfusion.methods.estarfm import ESTARFM
from stsfusion.methods.starfm import STARFM

SAMPLE = 60
"""Pixels of the loop."""


def loop_seconds(method, problem):
    """A pixel's time in the loop."""
    images, _, rows = laid_out(problem, method, 1)
    own = {name.removeprefix("own."): t.double().numpy() for name, t in method.state.items()}
    edge, (height, width) = method.radius, problem.target.shape[2:]
    dice = np.random.default_rng(0)
    places = zip(
        dice.integers(edge, height - edge, SAMPLE), dice.integers(edge, width - edge, SAMPLE), strict=True
    )
    given = {
        "spread": own["spread"][rows],
        "level": float(own["level"]),
        "radius": edge,
        "pixels": list(places),
    }
    start = time.process_time()
    if isinstance(method, ESTARFM):
        references_stf.estarfm(*images, low=own["low"], high=own["high"], **given)
    else:
        references_stf.starfm(*images, **given)
    return (time.process_time() - start) / SAMPLE


def seconds(method, problem, device):
    """The best of two runs of the one asked date."""
    taken, clock = [], time.perf_counter if device == "cuda" else time.process_time
    for _ in range(2):
        start = clock()
        method.fuse(problem)
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(clock() - start)
    return min(taken)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", type=int, default=[192, 384, 768])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--window", type=int, default=51)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    where = torch.cuda.get_device_name() if asked.device == "cuda" else f"{asked.threads} threads"
    print(f"window {asked.window}, 3 bands, two pairs, {where}")
    for kind in (STARFM, ESTARFM):
        small = stf_problem(size=(asked.sizes[0],) * 2)
        method = kind(window=asked.window).fit([small.question()])
        loop = loop_seconds(method, small)
        for size in asked.sizes:
            problem = stf_problem(size=(size, size)).question().to(asked.device)
            taken = seconds(method, problem, asked.device)
            peak = peak_bytes(lambda m=method, p=problem: m.fuse(p)) / 2**20
            pixels = size * size
            print(
                f"{method.card.name:8} {size:5} px  {taken:8.2f} s  {pixels / taken / 1e6:7.4f} Mpx/s  "
                f"{loop * pixels / taken:6.0f} × the loop  {peak:7.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
