"""Broken deliveries by the thousand, tried in a process of their own.

    python tests/fuzzing.py FOLDER COUNT SEED OPENERS

Sound files are made in FOLDER, broken by a few turned bits, moved pieces or a cut, and opened. Each case
must end in a DeliveryError that names the file, or, where the file still looks sound, in one as soon as the
recorded sum is asked for. Anything else is a failure: another exception, more than ten seconds, a changed
file nobody noticed. A crash ends the process, which the caller sees. OPENERS is 'guarded', or 'trusting'
for the twin that must fail.
"""

from __future__ import annotations

import collections
import json
import random
import resource
import shutil
import signal
import sys
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import rasterio
from deliveries import WFV, deliver, pack, write_tiff

from stsfusion.ingest.archive import unpack
from stsfusion.ingest.envi import EnviImage, read_header
from stsfusion.ingest.files import check_digest, digest
from stsfusion.ingest.markup import read_markup
from stsfusion.ingest.raster import open_raster
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.rpb import read_rpb

SECONDS, MEMORY = 10, 3 * 2**30
SHARES = {"tiff": 11, "archive": 4, "xml": 2, "rpb": 2, "header": 1}
"""How often each kind of file is broken, out of twenty."""


HEADER = """ENVI
samples = 20
lines = 24
bands = 3
header offset = 0
data type = 12
interleave = bsq
byte order = 0
wavelength = {450.5, 550.5, 650.5}
reflectance scale factor = 10000
map info = {UTM, 1, 1, 475000, 4150000, 30, 30, 50, North, WGS-84}
"""


def sound(folder):
    """Sound files of each kind."""
    noise = np.random.default_rng(1).integers(1, 4095, (3, 24, 20)).astype(np.uint16)
    images = {"plain": {}, "deflate": {"compress": "deflate", "predictor": 2},
              "tiled": {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "lzw"}}  # fmt: skip
    for name, profile in images.items():
        write_tiff(folder / f"{name}.tiff", noise, **profile)
    home = deliver(WFV.but(lines=6, samples=5), folder)
    (folder / "cube.hdr").write_text(HEADER)
    for place in (folder, folder / "broken"):
        place.mkdir(exist_ok=True)
        (place / "cube.dat").write_bytes(noise.tobytes())
    return {
        "tiff": [folder / f"{name}.tiff" for name in images],
        "archive": [pack(home, kind) for kind in ("tar.gz", "zip", "tar")],
        "xml": [home / f"{home.name}.xml"],
        "rpb": [home / f"{home.name}-1.rpb"],
        "header": [folder / "cube.hdr"],
    }


def broken(data, draw):
    """The same bytes with a fault; always other ones."""
    while True:
        made = bytearray(data)
        way = draw.random()
        if way < 0.15:
            made = made[: draw.randrange(len(made))]
        elif way < 0.25:
            at, to, length = (draw.randrange(len(made)) for _ in range(3))
            made[at : at + length % 64] = made[to : to + length % 64]
        else:
            # Half of the faults fall on the first bytes, where formats say what they are.
            near = min(len(made), 512) if draw.random() < 0.5 else len(made)
            for _ in range(draw.randint(1, 8)):
                at = draw.randrange(near)
                made[at] = draw.choice((made[at] ^ (1 << draw.randrange(8)), 0, 255, draw.randrange(256)))
        if bytes(made) != data:
            return bytes(made)


def _read_all(path):
    with open_raster(path) as raster:
        raster.read()


def _unpack(path):
    target = path.parent / "target"
    try:
        unpack(path, target)
    finally:
        left = [item for item in target.glob("*") if item.name.startswith(".")] if target.exists() else []
        shutil.rmtree(target, ignore_errors=True)
    if left:
        raise AssertionError("something was left behind")


def _read_cube(path):
    EnviImage(read_header(path)).read()


GUARDED = {
    "tiff": _read_all,
    "archive": _unpack,
    "xml": read_markup,
    "rpb": read_rpb,
    "header": _read_cube,
}


def _trusting_image(path):
    with rasterio.open(path) as file:
        file.read()


def _trusting_archive(path):
    shutil.unpack_archive(
        path, path.parent / "target", **({} if path.suffix == ".zip" else {"filter": "data"})
    )
    shutil.rmtree(path.parent / "target")


def _trusting_cube(path):
    said = dict(row.split(" = ") for row in path.read_text().splitlines()[1:])
    np.fromfile(path.with_suffix(".dat"), "u2").reshape(3, int(said["lines"]), int(said["samples"]))


TRUSTING = {
    "header": _trusting_cube,
    "tiff": _trusting_image,
    "archive": _trusting_archive,
    "xml": lambda path: xml.etree.ElementTree.parse(path),
    "rpb": lambda path: [
        float(line.split("=")[1].strip(" ;")) for line in path.read_text().splitlines()[5:15]
    ],
}


def outcome(opener, check, path, recorded):
    """'refused', 'refused by its sum', or what went wrong."""
    signal.alarm(SECONDS)
    try:
        try:
            opener(path)
        except DeliveryError as refusal:
            return (
                "refused"
                if path.name in str(refusal) and refusal.got
                else "failed: names no file or no reason"
            )
        try:
            check(path, recorded)
        except DeliveryError:
            return "refused by its sum"
        return "failed: accepted"
    except BaseException as error:
        return f"failed: {type(error).__name__}"
    finally:
        signal.alarm(0)


def main(folder, count, seed, openers):
    """Try so many faults, and print what came of them as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    def late(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    guarded = openers == "guarded"
    chosen, check = (GUARDED, check_digest) if guarded else (TRUSTING, lambda path, recorded: None)
    files, draw = sound(folder), random.Random(seed)
    recorded = {path: (path.read_bytes(), digest(path)) for paths in files.values() for path in paths}
    for kind, paths in files.items():
        for path in paths:
            chosen[kind](path)  # a sound file must pass, or nothing is told by refusing
    kinds = [kind for kind, share in SHARES.items() for _ in range(share)]
    ends = collections.Counter()
    for case in range(count):
        kind = kinds[case % len(kinds)]
        path = draw.choice(files[kind])
        data, total = recorded[path]
        place = folder / "broken" / path.name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(broken(data, draw))
        ends[f"{kind}: {outcome(chosen[kind], check, place, total)}"] += 1
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(row.split()[1]) // 1024 for row in status if row.startswith("VmHWM"))
    print(json.dumps({"tried": sum(ends.values()), "ends": dict(sorted(ends.items())), "peak MB": peak}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
