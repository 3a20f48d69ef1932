"""Faults of pixels, places, dates and code in disguise: each is flagged, located right, or refused."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import rasterio
import torch
from deliveries import AHSI, BEIJING, GROUND, VNIC, WFV, Camera, deliver, sun, write_tiff
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.warp import transform

from stsfusion.cube.grid import Grid
from stsfusion.cube.spec import CubeSpec
from stsfusion.cube.store import CubeStore
from stsfusion.errors import StsfusionError
from stsfusion.fusion.weights import load_state
from stsfusion.ingest.calibrate import calibration, read_gains_file
from stsfusion.ingest.files import digest
from stsfusion.ingest.finding import files_below, products
from stsfusion.ingest.frame import Place, base_grid, pixels_of
from stsfusion.ingest.limits import Limits
from stsfusion.ingest.loose import tiff_scene
from stsfusion.ingest.mask import Flag
from stsfusion.ingest.package import product_scene
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.rpb import read_rpb
from stsfusion.ingest.sun import settle
from stsfusion.ingest.view import open_view
from stsfusion.ingest.warp import Terrain
from stsfusion.methods.gsa import GSA
from stsfusion.pipeline.recipe import load_recipe
from stsfusion.sensing.scene import Layer, Scene
from stsfusion.sensing.sensor import load_sensor

FLAT = Terrain(height=GROUND)
ZONE = "EPSG:32650"


# ---------------------------------------------------------------- pixels

SIDE, REACH = 12, 3
"""Pixels of a small image, and how far the cubic kernel looks."""

NOTE = "sensor: gf6-wfv\ntime: 2021-12-16T03:04:29Z\nscale: 0.0001\nbands: [B1, B2]\n"


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Small images on a map, in two kinds of numbers, and what is known of them."""
    home = tmp_path_factory.mktemp("pixels")
    made = {}
    for kind, values in (("float32", "reflectance"), ("uint16", "counts")):
        path = home / f"{kind}.tif"
        sound = (1000 + np.arange(2 * SIDE * SIDE).reshape(2, SIDE, SIDE) % 700).astype(kind)
        store(path, sound)
        path.with_suffix(".yaml").write_text(NOTE)
        scene = replace(tiff_scene(path, home), values=values)
        made[kind] = path, sound, scene, seen(path, scene)
    return made


def store(path, counts):
    place = rasterio.Affine(16, 0, 475_000, 0, -16, 4_150_000)
    write_tiff(path, counts, crs=ZONE, transform=place)


def seen(path, scene):
    """The image on its own pixels."""
    files = tuple(replace(f, sha256=digest(path)) if f.role == "raster" else f for f in scene.files)
    grid = Grid((SIDE, SIDE), 16.0, (475_000.0, 4_150_000.0), ZONE)
    with open_view(replace(scene, files=files), path.parent) as view:
        return view.tile(grid, (0, SIDE), (0, SIDE))


BROKEN = {
    "float32": (math.nan, math.inf, -math.inf, 0.0, -5000.0, -1.0, 20_000.0, 1e30, 3.4e38),
    "uint16": (0, 1, 4094, 4095, 4096, 65535),
}
PLACES = st.tuples(st.integers(0, 1), st.integers(0, SIDE - 1), st.integers(0, SIDE - 1))


@st.composite
def damages(draw):
    kind = draw(st.sampled_from(sorted(BROKEN)))
    return kind, draw(st.lists(st.tuples(PLACES, st.sampled_from(BROKEN[kind])), min_size=1, max_size=12))


def test_broken_pixels_are_masked_and_stay_where_they_are(plain, record_property):
    tried = 0

    @settings(max_examples=520)
    @given(damages())
    def broken(damage):
        nonlocal tried
        tried += 1
        check_pixels(plain, damage)

    broken()
    record_property("cases", tried)
    assert tried >= 500


def check_pixels(plain, damage):
    """Damage the image, and look at what comes out."""
    kind, planted = damage
    path, sound, scene, clean = plain[kind]
    counts = sound.copy()
    for place, value in planted:
        counts[place] = value
    store(path, counts)
    part = seen(path, scene)
    assert np.isfinite(part.reflectance).all()
    assert not part.reflectance[~part.valid].any()
    gone = ~np.isfinite(counts) | (counts == 0)
    if kind == "uint16":
        full = counts >= 4095
        assert (part.flags[full.any(axis=0)] & Flag.SATURATED).all()
        gone |= full
    assert not part.valid[gone].any()
    nothing = ~part.valid.any(axis=0)
    assert np.array_equal((part.flags & Flag.NO_DATA) != 0, nothing)
    near = np.zeros(counts.shape, bool)
    for (band, y, x), _ in planted:
        near[band, max(0, y - REACH) : y + REACH + 1, max(0, x - REACH) : x + REACH + 1] = True
    assert np.array_equal(part.reflectance[~near], clean.reflectance[~near])
    assert np.array_equal(part.valid[~near], clean.valid[~near])


# ---------------------------------------------------------------- places

LINES, SAMPLES, BASE, STEP = 40, 36, 100, 50
MIDDLE = (476_000.0, 4_149_000.0)


def numbered(bands=2, kind="int16"):
    """(band, y, x) each pixel's own sample and line."""
    line, sample = np.mgrid[:LINES, :SAMPLES]
    return (np.stack([sample if b % 2 == 0 else line for b in range(bands)]) * STEP + BASE).astype(kind)


def around(crs, pixel=16.0, turn=0.0, flip=(1, -1), at=MIDDLE):
    """The transform of an image whose middle lies at a place of zone 50, in a reference system."""
    (x,), (y,) = transform(ZONE, crs, [at[0]], [at[1]])
    turned = rasterio.Affine.rotation(turn) @ rasterio.Affine.scale(pixel * flip[0], pixel * flip[1])
    return rasterio.Affine.translation(x, y) @ turned @ rasterio.Affine.translation(-SAMPLES / 2, -LINES / 2)


def mapped(folder, crs, place, **more):
    path = folder / "mine.tif"
    write_tiff(path, numbered(), transform=place, **({} if crs is None else {"crs": crs}), **more)
    path.with_suffix(".yaml").write_text(NOTE)
    return tiff_scene(path, folder)


def check_places(scene, home, grid, crs, place, **options):
    """'located' when every pixel comes from where it should, 'nowhere' when rightly nothing is there."""
    with open_view(scene, home, **options) as view:
        part = view.tile(grid, (0, grid.shape[0]), (0, grid.shape[1]))
    x, y = np.meshgrid(grid.x, grid.y)
    xs, ys = transform(grid.crs, crs, x.ravel(), y.ravel())
    sample, line = (np.reshape(v, x.shape) - 0.5 for v in ~place @ np.stack([xs, ys]))
    inside = (sample > 1) & (sample < SAMPLES - 2) & (line > 1) & (line < LINES - 2)
    beyond = (sample < -1) | (sample > SAMPLES) | (line < -1) | (line > LINES)
    there = part.valid[:2].all(axis=0)
    assert not there[beyond].any()
    assert there[inside].all()
    found = (part.reflectance[:2] / scene.scale - BASE) / STEP
    off = np.hypot(found[0] - sample, found[1] - line)[inside & there]
    assert off.size == 0 or off.max() <= 0.5
    return "located" if off.size else "nowhere"


def grid_at(x=MIDDLE[0], y=MIDDLE[1], size=24, crs=ZONE):
    return Grid((size, size), 16.0, (x - 8 * size, y + 8 * size), crs)


def on_map(crs=ZONE, grid=None, **how):
    def case(folder):
        place = around(crs, **how)
        return check_places(mapped(folder, crs, place), folder, grid or grid_at(), crs, place)

    return case


def refused(case):
    """A case that must end in a typed error which names the file or the scene, and a reason."""

    def run(folder):
        with pytest.raises(StsfusionError) as error:
            case(folder)
        assert error.value.got or error.value.expected
        assert str(folder) in str(error.value) or "scene" in str(error.value) or "area" in str(error.value)
        return "refused"

    return run


def only(home):
    (product,) = products(files_below(home, Limits()))
    return product_scene(product, home)


def level_two(crs, place):
    """An AHSI delivery on a map whose XML says where it should be."""

    def case(folder):
        order = AHSI.but(lines=LINES, samples=SAMPLES, xml={"Level": "LEVEL2A"})
        home = deliver(order, folder)
        for path in home.glob("*.tif"):
            path.unlink()
            bands = 76 if "_VN" in path.name else 90
            write_tiff(path, numbered(bands, "uint16"), crs=crs, transform=place, nodata=0)
        for path in home.glob("*.rpb"):
            path.unlink()
        return only(home)

    return case


def edited(order, end, old, new):
    def case(folder):
        home = deliver(order, folder)
        (path,) = [path for path in home.iterdir() if path.name.endswith(end)]
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return only(home)

    return case


def swapped(folder):
    """Longitude and latitude exchanged in the coefficients of a strip."""
    home = deliver(WFV, folder)
    (path,) = [path for path in home.iterdir() if path.name.endswith("-1.rpb")]
    text = path.read_text()
    text = text.replace("latO", "@O").replace("longO", "latO").replace("@O", "longO")
    path.write_text(text)
    return only(home)


def meridian(lon, crs):
    """A raw scene near or across 180°, on a grid of the zone on one side."""

    def case(folder):
        order = AHSI.but(lon=lon, lat=10.0, utc=datetime(2021, 12, 12, 22, 30), lines=LINES, samples=SAMPLES)
        home = deliver(order, folder)
        for path in home.glob("*.tif"):
            path.unlink()
            write_tiff(path, numbered(76 if "_VN" in path.name else 90, "uint16"))
        scene = only(home)
        (x,), (y,) = transform("EPSG:4326", crs, [lon], [10.0])
        grid = Grid((20, 20), 30.0, (x - 300, y + 300), crs)
        rows, cols = pixels_of(scene, grid)
        assert (rows[1] - rows[0], cols[1] - cols[0]) == (20, 20)
        with open_view(scene, home, terrain=FLAT) as view:
            part = view.tile(grid, (0, 20), (0, 20))
            zero, one = (
                view.images[0].calibration.reflectance(np.full((76, 1, 1), n, np.float32))[:2]
                for n in (0, 1000)
            )
        assert part.valid[:2].all()
        found = ((part.reflectance[:2] - zero) / (one - zero) * 1000 - BASE) / STEP
        xs, ys = np.meshgrid(grid.x, grid.y)
        lons, lats = transform(crs, "EPSG:4326", xs.ravel(), ys.ravel())
        camera = Camera(LINES, SAMPLES, 30, lon, 10.0)
        corner, right, down = (np.array(camera.ground(*at)) for at in ((0, 0), (1, 0), (0, 1)))
        away = np.stack([(np.array(lons) - corner[0] + 180) % 360 - 180, np.array(lats) - corner[1]])
        expected = (np.linalg.inv(np.stack([right - corner, down - corner], axis=1)) @ away).reshape(
            2, 20, 20
        )
        assert np.hypot(*(found - expected)).max() <= 0.5
        return "located"

    return case


def meridian_frame(folder):
    """The area that a crossing scene asks for is its own, not all round the Earth."""
    order = AHSI.but(lon=179.999, lat=10.0, utc=datetime(2021, 12, 12, 22, 30), lines=LINES, samples=SAMPLES)
    home = deliver(order, folder)
    scene = only(home)
    grid = base_grid(Place(), [scene], 30.0, 1)
    assert grid.crs in ("EPSG:32601", "EPSG:32660")
    assert max(grid.shape) < 60
    lons = [lon for lon, _ in scene.footprint]
    assert max(lons) - min(lons) > 359
    return "located"


SWAPPED = rasterio.Affine(0.0002, 0, 37.49, 0, -0.0002, 117.0)
PLACED = {
    "as it should": (on_map(), "located"),
    "in the next zone's numbers": (on_map("EPSG:32649"), "located"),
    "in zone 51's numbers": (on_map("EPSG:32651"), "located"),
    "in degrees": (on_map("EPSG:4326", pixel=0.00016), "located"),
    "in web mercator": (on_map("EPSG:3857", pixel=20.0), "located"),
    "in feet": (on_map("+proj=utm +zone=50 +datum=WGS84 +units=us-ft", pixel=52.0), "located"),
    "southern numbers of the same zone": (on_map("EPSG:32750"), "located"),
    "turned by 13 degrees": (on_map(turn=13.0), "located"),
    "mirrored left to right": (on_map(flip=(-1, -1)), "located"),
    "mirrored top to bottom": (on_map(flip=(1, 1)), "located"),
    "turned upside down": (on_map(flip=(-1, 1)), "located"),
    "beside the grid": (on_map(grid=grid_at(MIDDLE[0] + 5000)), "nowhere"),
    "less than a pixel on the grid": (on_map(grid=grid_at(MIDDLE[0] + 8 * (SAMPLES + 24) - 5)), "nowhere"),
    "no reference system": (refused(lambda f: mapped(f, None, around(ZONE))), "refused"),
    "a reference system of nowhere": (
        refused(lambda f: mapped(f, 'LOCAL_CS["mine",UNIT["metre",1]]', around(ZONE))), "refused"),
    "longitude for latitude, on a map": (refused(lambda f: mapped(f, "EPSG:4326", SWAPPED)), "refused"),
    "pixels of no size": (
        refused(lambda f: mapped(f, ZONE, rasterio.Affine(0, 0, 475_000, 0, 0, 4_150_000))), "refused"),
    "zone 49 said, zone 50 meant": (
        refused(level_two("EPSG:32649", rasterio.Affine(30, 0, 475_000, 0, -30, 4_150_000))), "refused"),
    "south said, north meant": (
        refused(level_two("EPSG:32750", rasterio.Affine(30, 0, 475_000, 0, -30, 4_150_000))), "refused"),
    "longitude for latitude in the XML": (
        refused(lambda f: only(deliver(AHSI.but(xml={"TopLeftLatitude": 116.7}), f))), "refused"),
    "longitude for latitude in the RPC": (refused(swapped), "refused"),
    "RPC of elsewhere": (
        refused(edited(AHSI, "_SW.rpb", "latOffset = 37.5", "latOffset = 37.6")), "refused"),
    "just west of 180": (meridian(179.97, "EPSG:32660"), "located"),
    "just east of 180": (meridian(-179.97, "EPSG:32601"), "located"),
    "across 180, from the west": (meridian(179.9995, "EPSG:32660"), "located"),
    "across 180, from the east": (meridian(-179.9995, "EPSG:32601"), "located"),
    "the frame of what lies across 180": (meridian_frame, "located"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACED)
def test_places_are_right_or_refused(tmp_path, name):
    case, end = PLACED[name]
    assert case(tmp_path) == end


def test_the_measure_of_places_sees_a_pixel(tmp_path):
    place = around(ZONE)
    scene = mapped(tmp_path, ZONE, place)
    with pytest.raises(AssertionError):
        check_places(scene, tmp_path, grid_at(), ZONE, place @ rasterio.Affine.translation(0.8, 0))


# ---------------------------------------------------------------- dates

DATES = [
    datetime(2020, 2, 29, 3, 4, 29), datetime(2024, 2, 29, 2, 58, 31), datetime(2020, 12, 31, 23, 30),
    datetime(2021, 1, 1, 0, 10), datetime(2021, 12, 31, 15, 59, 59), datetime(2022, 3, 1, 3, 0),
    datetime(2021, 6, 21, 3, 0), datetime(2021, 12, 21, 3, 0), datetime(2023, 3, 20, 16, 30),
    datetime(2021, 10, 1, 4, 30),
]  # fmt: skip
MOMENTS = [(utc, zone, reading) for utc in DATES for zone in ("Beijing", "UTC") for reading in ("z", "90-z")]


@pytest.mark.parametrize(("utc", "zone", "reading"), MOMENTS)
def test_time_and_angle_are_read_right_or_not_at_all(utc, zone, reading):
    """A place that has the sun at half past ten at that moment, wherever that is."""
    lon, lat = ((10.5 - utc.hour - utc.minute / 60) * 15 + 180) % 360 - 180, 25.0
    zenith, azimuth, _ = sun(utc, lon, lat)
    local = utc + (BEIJING if zone == "Beijing" else timedelta())
    try:
        found = settle("a.xml", local, lon, lat, zenith if reading == "z" else 90 - zenith, azimuth)
    except DeliveryError:
        return
    assert found.time == utc.replace(tzinfo=UTC)
    assert found.zenith == pytest.approx(zenith, abs=0.5)


def test_most_of_them_are_read():
    """Or stopping at everything would pass."""
    read = 0
    for utc, zone, reading in MOMENTS:
        lon = ((10.5 - utc.hour - utc.minute / 60) * 15 + 180) % 360 - 180
        zenith, azimuth, _ = sun(utc, lon, 25.0)
        local = utc + (BEIJING if zone == "Beijing" else timedelta())
        try:
            settle("a.xml", local, lon, 25.0, zenith if reading == "z" else 90 - zenith, azimuth)
            read += 1
        except DeliveryError:
            pass
    assert read >= 0.9 * len(MOMENTS)


@pytest.mark.parametrize("utc", [datetime(2020, 12, 31, 3, 4, 29), datetime(2021, 1, 1, 3, 4, 29)])
def test_gains_are_those_of_the_year(tmp_path, utc):
    order = WFV.but(utc=utc, lines=6, samples=5)
    scene = only(deliver(order, tmp_path))
    assert f"for {utc.year}" in calibration(scene, scene.layers[0]).source or str(utc.year) in (
        calibration(scene, scene.layers[0]).source
    )


def test_products_of_one_day_are_told_apart(tmp_path):
    """AHSI and VNIC of one day and one minute are three scenes, whatever the order of the files."""
    for order in (AHSI.but(lines=6, samples=5), VNIC.but(lines=6, samples=5)):
        deliver(order, tmp_path)
    files = list(files_below(tmp_path, Limits()))
    names = [
        sorted(
            (scene.sensor, scene.name, scene.time) for scene in (product_scene(p, tmp_path) for p in found)
        )
        for found in (products(files), products(files[::-1]))
    ]
    assert names[0] == names[1]
    assert len({sensor for sensor, *_ in names[0]}) == 3
    assert len({time for *_, time in names[0]}) == 1


# ---------------------------------------------------------------- there and back


def unread(sensor="gf6-wfv"):
    """A scene of no files, as far as calibration looks at it."""
    known = load_sensor(sensor)
    layer = Layer("1", known.names, (2, 2), "uint16", tuple(known.wavelengths), tuple(known.fwhm))
    return Scene(
        name="x", sensor=sensor, platform="", level="", time=datetime(2021, 12, 16, 3, 4, 29, tzinfo=UTC),
        footprint=(), sun_zenith=62.0, sun_azimuth=0.0, delivery="", layers=(layer,), files=(),
    )  # fmt: skip


LIT = calibration(unread(), unread().layers[0])
"""How bright the light is in each band, worked out once."""


def test_counts_come_back_to_a_count(record_property):
    """Counts, radiance, reflectance, radiance, counts: within one count."""
    tried = 0

    @settings(max_examples=520)
    @given(st.integers(0, 4095), st.floats(0.001, 1), st.floats(-5, 5), st.integers(0, 7))
    def there_and_back(count, gain, offset, band):
        nonlocal tried
        tried += 1
        check_count(count, gain, offset, band)

    there_and_back()
    record_property("cases", tried)
    assert tried >= 500


def check_count(count, gain, offset, band):
    """One count of one band."""
    found = replace(LIT, slope=gain / LIT.light, intercept=offset / LIT.light)
    counts = np.full((8, 1), count)
    radiance = found.radiance(counts)[band, 0]
    assert radiance == pytest.approx(gain * count + offset, rel=1e-6, abs=1e-6)
    reflectance = float(found.reflectance(counts)[band, 0])
    back = (reflectance - found.intercept[band]) / found.slope[band]
    assert abs(round(float(back)) - count) <= 1


def test_a_hundred_thousand_points_go_there_and_back(tmp_path, record_property):
    """On coefficients that bend in every term, not only on a straight camera."""
    (tmp_path / "a.rpb").write_text(Camera(140, 130, 10.0).rpb())
    straight, draw = read_rpb(tmp_path / "a.rpb"), np.random.default_rng(0)

    def bent(terms, first):
        return tuple(terms[:first]) + tuple(t + draw.normal(0, 1e-3) for t in terms[first:])

    found = replace(
        straight,
        line_over=bent(straight.line_over, 4), sample_over=bent(straight.sample_over, 4),
        line_under=bent(straight.line_under, 1), sample_under=bent(straight.sample_under, 1),
    )  # fmt: skip
    sample, line = draw.uniform(0, 130, 100_000), draw.uniform(0, 140, 100_000)
    lon, lat = found.ground(sample, line, 700.0)
    back = found.pixel(lon, lat, 700.0)
    assert np.abs(np.stack(back) - np.stack([sample, line])).max() <= 1e-3
    record_property("cases", np.isfinite(back[0]).sum().item())
    bend = np.abs(np.stack(straight.pixel(lon, lat, 700.0)) - np.stack([sample, line])).max()
    assert bend > 0.01, "straight coefficients would pass without any iteration"


# ---------------------------------------------------------------- code in disguise


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


def _pickled(folder, mark):
    (folder / "a.safetensors").write_bytes(pickle.dumps(Trap(mark)))
    load_state(GSA(), folder / "a.safetensors")


def _torch(folder, mark):
    torch.save({"weights": Trap(mark)}, folder / "a.safetensors")
    load_state(GSA(), folder / "a.safetensors")


def _yaml(opener, end=".yaml", head=""):
    def case(folder, mark):
        path = folder / f"mine{end}"
        path.write_text(f"{head}title: !!python/object/apply:os.system ['touch {mark}']\n")
        opener(path)

    return case


def _note(path):
    write_tiff(path.with_suffix(".tif"), numbered(), crs=ZONE, transform=around(ZONE))
    tiff_scene(path.with_suffix(".tif"), path.parent)


DISGUISED = {
    "pickle as weights": _pickled,
    "torch's pickle as weights": _torch,
    "tag in a recipe": _yaml(lambda path: load_recipe(str(path), [])),
    "tag in a sensor": _yaml(load_sensor),
    "tag in a file of gains": _yaml(read_gains_file),
    "tag in a note": _yaml(_note),
    "name of a module in a sensor": lambda folder, mark: load_sensor(f"{folder}/os.system"),
}


@pytest.mark.parametrize("name", DISGUISED)
def test_code_in_disguise_is_refused_and_never_run(tmp_path, name):
    mark = tmp_path / "ran"
    with pytest.raises(StsfusionError):
        DISGUISED[name](tmp_path, mark)
    assert not mark.exists()


def test_code_in_attributes_stays_text(tmp_path):
    mark = tmp_path / "ran"
    code = f"__import__('os').system('touch {mark}')"
    attributes = {"title": code, "method": {"name": f"{{{{ {code} }}}}"}, "py/object": code}
    store = CubeStore(tmp_path / "a.zarr")
    spec = CubeSpec(Grid.local((8, 8)), (0,), ("b",), (500.0,), shard=8, inner=8, attributes=attributes)
    store.create("", spec)
    store.write("", spec.window, np.zeros((1, 1, 8, 8)), np.ones((1, 1, 8, 8), bool))
    store.publish()
    assert CubeStore(store.path).info()[""]["attributes"] == attributes
    assert store.dataset().attrs["title"] == code
    assert not mark.exists()


def test_the_trap_works(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "ran"))).close()
    assert (tmp_path / "ran").exists()
