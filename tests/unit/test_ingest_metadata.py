"""Sun, time, side files, RPC and XML: each against an independent reference, and each of their traps."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
import rasterio.transform
from deliveries import BEIJING, LAT, LON, Camera, sun

from stsfusion.ingest.columns import read_gains, read_wavelengths
from stsfusion.ingest.metadata import moment, read_facts
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.rpb import read_rpb
from stsfusion.ingest.sun import distance, position, settle

NOON = datetime(2021, 12, 13, 2, 58, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (datetime(2022, 1, 4, 7, tzinfo=UTC), 0.98333), (datetime(2022, 7, 4, 7, tzinfo=UTC), 1.01672),
        (datetime(2021, 1, 2, 14, tzinfo=UTC), 0.98326), (datetime(2021, 12, 13, 3, tzinfo=UTC), 0.9845),
    ],
)  # fmt: skip
def test_distance_at_its_known_ends(time, expected):
    assert distance(time) == pytest.approx(expected, abs=6e-5)


def test_sun_against_another_formula():
    draw = np.random.default_rng(0)
    for seconds, lon, lat in zip(
        draw.uniform(0, 8 * 365.25 * 86400, 500),
        draw.uniform(-180, 180, 500),
        draw.uniform(-60, 60, 500),
        strict=True,
    ):
        time = datetime(2018, 1, 1) + timedelta(seconds=seconds)
        zenith, azimuth = position(time.replace(tzinfo=UTC), lon, lat)
        other, turned, far = sun(time, lon, lat)
        assert zenith == pytest.approx(other, abs=0.5)
        assert distance(time.replace(tzinfo=UTC)) == pytest.approx(far, abs=1e-3)
        assert abs((azimuth - turned + 180) % 360 - 180) * math.sin(math.radians(zenith)) < 0.6


def test_sun_of_a_published_scene():
    """Angles of a real GF-5 header (azimuth 207.63°, zenith 25.29°) at the place and day in its name."""
    zenith, azimuth = position(datetime(2019, 7, 28, 6, 42, tzinfo=UTC), 93.06, 42.16)
    assert zenith == pytest.approx(25.29, abs=0.3)
    assert azimuth == pytest.approx(207.63, abs=1)


def written(zone, reading, time=NOON, lon=LON, lat=LAT):
    """What metadata say of a moment, in a zone and with a reading of the angle."""
    zenith, azimuth, _ = sun(time.replace(tzinfo=None), lon, lat)
    local = time.replace(tzinfo=None) + (BEIJING if zone == "Beijing" else timedelta())
    return local, lon, lat, zenith if reading == "zenith" else 90 - zenith, azimuth


@pytest.mark.parametrize("zone", ["Beijing", "UTC"])
@pytest.mark.parametrize("reading", ["zenith", "elevation"])
def test_the_sky_settles_zone_and_angle(zone, reading):
    found = settle("a.xml", *written(zone, reading))
    assert found.time == NOON
    assert found.zenith == pytest.approx(62.76, abs=0.2)
    assert ("time taken as UTC" in found.notes) == (zone == "UTC")
    assert ("SolarZenith holds the elevation" in found.notes) == (reading == "elevation")


def test_the_right_reading_is_found_all_over_the_year_and_the_country():
    draw = np.random.default_rng(1)
    tried = 0
    for _ in range(400):
        lon, lat = draw.uniform(75, 134), draw.uniform(18, 53)
        time = (datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=int(draw.integers(0, 1800)))).replace(
            hour=0
        ) + timedelta(hours=10.5 - lon / 15)
        zone, reading = draw.choice(["Beijing", "UTC"]), draw.choice(["zenith", "elevation"])
        if position(time, lon, lat)[0] > 84:
            continue
        tried += 1
        found = settle("a.xml", *written(zone, reading, time, lon, lat))
        assert found.time == time.replace(tzinfo=UTC)
        assert found.zenith == pytest.approx(position(time, lon, lat)[0], abs=0.5)
    assert tried > 350


def test_near_45_degrees_angles_are_computed():
    time = datetime(2021, 4, 2, 2, 10, tzinfo=UTC)
    lon, lat = LON, 38.0
    while abs(position(time, lon, lat)[0] - 45) > 0.2:
        time += timedelta(minutes=1)
    found = settle("a.xml", *written("Beijing", "elevation", time, lon, lat))
    assert "angles computed" in found.notes[0]
    assert found.zenith == position(time, lon, lat)[0]


@pytest.mark.parametrize(
    ("zenith", "azimuth"),
    [(50.0, 162.2), (62.7, 62.2), (10.0, None)],
    ids=["zenith", "azimuth", "no azimuth"],
)
def test_a_sun_that_stands_nowhere_is_refused(zenith, azimuth):
    with pytest.raises(DeliveryError, match=r"a\.xml: sun.*fits none"):
        settle("a.xml", datetime(2021, 12, 13, 10, 58, 31), LON, LAT, zenith, azimuth)


def test_a_stated_zone_is_believed_and_checked():
    local = NOON.astimezone(timezone(BEIJING))
    assert settle("a.xml", local, LON, LAT, 62.76, 162.24).time == NOON
    with pytest.raises(DeliveryError, match="fits none"):
        settle("a.xml", NOON.replace(hour=10), LON, LAT, 62.76, 162.24)


def test_absent_angles_are_computed():
    found = settle("a.xml", datetime(2021, 12, 13, 10, 58, 31), LON, LAT, None, None)
    assert found.time == NOON
    assert found.notes == ("no sun angles given: computed for Beijing time",)
    found = settle("a.xml", datetime(2021, 12, 13, 20, 0), LON - 200, LAT, None, None)
    assert "UTC time" in found.notes[0]


@pytest.mark.parametrize("separator", [",", " ", "\t", " , ", ";", "   "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_columns_are_read_however_they_are_parted(tmp_path, separator, end):
    path = tmp_path / "RadCal.raw"
    path.write_bytes(f"0.5{separator}0.1{end}1e-2{separator}-0.2{end}".encode())
    assert read_gains(path, 2) == ((0.5, 0.01), (0.1, -0.2))


def test_one_column_has_no_offsets(tmp_path):
    path = tmp_path / "RadCal.raw"
    path.write_bytes("\ufeff0.5\r\n0.25".encode())
    assert read_gains(path, 2) == ((0.5, 0.25), (0.0, 0.0))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("0.5\n", "3 lines, one a band, got 1"), ("0.5\n" * 165, "got 165"), ("", "got 0"),
        ("0.5\nx\n1", "line 2"), ("0.5\nnan\n1", "line 2"), ("1,2,3\n1\n1", "line 1"),
        ("0\n1\n1", "gains above zero"), ("1_0\n1\n1", "line 1"),
    ],
)  # fmt: skip
def test_columns_of_another_product_are_refused(tmp_path, text, match):
    path = tmp_path / "RadCal.raw"
    path.write_text(text)
    with pytest.raises(DeliveryError, match=match):
        read_gains(path, 3)


def test_wavelengths_are_nanometres(tmp_path):
    path = tmp_path / "Spectralresponse.raw"
    path.write_text("395.9,8.76\n404.5,8.76\n")
    assert read_wavelengths(path, 2) == ((395.9, 404.5), (8.76, 8.76))
    for text in ("0.3959,0.00876\n0.4,0.1\n", "395.9\n404.5\n", "395.9,0\n404.5,1\n"):
        path.write_text(text)
        with pytest.raises(DeliveryError, match="nanometres"):
            read_wavelengths(path, 2)


CAMERA = Camera(40, 30, 10.0)


def rpb(tmp_path, text):
    path = tmp_path / "a.rpb"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "change", [str, lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t, lambda t: t.replace('"', "'")]
)
def test_rpb_against_the_camera_that_made_it(tmp_path, change):
    found = read_rpb(rpb(tmp_path, change(CAMERA.rpb())))
    sample, line = np.array([0.0, 29, 12.5]), np.array([0.0, 39, 7.25])
    for height in (60, 500):
        lon, lat = CAMERA.ground(sample, line, height)
        assert np.allclose(found.pixel(lon, lat, height), [sample, line], rtol=0, atol=1e-6)
        assert np.allclose(found.ground(sample, line, height), [lon, lat], rtol=0, atol=1e-10)


def test_rpc_there_and_back_on_real_coefficients(tmp_path, data_folder):
    found = read_rpb(data_folder / "packages" / "real_gf5_ahsi_sw.rpb")
    draw = np.random.default_rng(0)
    sample, line = (
        draw.uniform(0, 2 * offset, 100_000) for offset in (found.sample_offset, found.line_offset)
    )
    back = found.pixel(*found.ground(sample, line, 700.0), 700.0)
    assert np.abs(np.stack(back) - np.stack([sample, line])).max() <= 1e-3


def test_polynomials_are_gdals(tmp_path, data_folder):
    """The order of the terms and the place of (0, 0), against GDAL's own transformer."""
    found = read_rpb(data_folder / "packages" / "real_gf5_ahsi_sw.rpb")
    places = np.random.default_rng(0).uniform(-0.9, 0.9, (3, 200))
    lon = found.lon_offset + found.lon_scale * places[0]
    lat = found.lat_offset + found.lat_scale * places[1]
    with rasterio.transform.RPCTransformer(found.rpc(), RPC_HEIGHT=800) as gdal:
        rows, cols = gdal.rowcol(lon, lat, op=float)
    sample, line = found.pixel(lon, lat, 800)
    # rasterio counts from the first pixel's corner.
    assert np.allclose(sample + 0.5, cols, rtol=0, atol=1e-3)
    assert np.allclose(line + 0.5, rows, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.replace("END;", ""), "ends in 'END;'"),
        (lambda t: t[: len(t) // 2], "ends in 'END;'"),
        (lambda t: "", "ends in 'END;'"),
        (lambda t: t.replace("+1.000000000000000E+00", "NaN", 1), "not finite|20 finite"),
        (lambda t: t.replace("+1.000000000000000E+00", "2.0", 1), "begin with 1"),
        (lambda t: t.replace("latScale = 0.02", "latScale = -0.02"), "scales above zero"),
        (lambda t: t.replace("latOffset = 37.5", "latOffset = 116.7"), "a latitude"),
        (lambda t: t.replace("longOffset = 116.72", "longOffset = 1167.2"), "a longitude"),
        (lambda t: t.replace("heightOffset = 60.0", "heightOffset = 60000.0"), "a height"),
        (lambda t: t.replace("\tlineOffset", "\tother"), "lineOffset"),
        (lambda t: t.replace("RPC00B", "RPC00A"), "RPC00B"),
        (lambda t: t.replace("\terrBias", "\tlatOffset = 1;\n\terrBias"), "each field once"),
        (lambda t: t + "more", "ends in 'END;'"),
    ],
)  # fmt: skip
def test_broken_rpb_is_refused(tmp_path, change, match):
    text = change(CAMERA.rpb())
    assert text != CAMERA.rpb()
    with pytest.raises(DeliveryError, match=match):
        read_rpb(rpb(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-12-13 10:58:31", datetime(2021, 12, 13, 10, 58, 31)),
        ("2021-12-13T10:58:31.1", datetime(2021, 12, 13, 10, 58, 31, 100_000)),
        ("2021/12/13 10:58:31.1234567", datetime(2021, 12, 13, 10, 58, 31, 123_456)),
        ("2021-12-13T10:58:31Z", datetime(2021, 12, 13, 10, 58, 31, tzinfo=UTC)),
        ("2024-2-29 1:2:3", datetime(2024, 2, 29, 1, 2, 3)),
    ],
)
def test_written_times(tmp_path, text, expected):
    assert moment(tmp_path, text) == expected
    assert moment(tmp_path, text).tzinfo == expected.tzinfo


@pytest.mark.parametrize(
    "text", [None, "", "2021-02-29 10:00:00", "10:58", "2021-12-13", "2021-12-13 25:00:00"]
)
def test_times_that_are_none(tmp_path, text):
    with pytest.raises(DeliveryError, match="time: expected as in"):
        moment(tmp_path, text)


def test_another_generation_of_metadata_is_told(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<MetaInfo><SunPosGeodetic/></MetaInfo>")
    with pytest.raises(DeliveryError, match="Older GF products"):
        read_facts(path)
