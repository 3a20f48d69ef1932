from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
import rasterio
from affine import Affine

from stsfusion.cube.files import open_cube
from stsfusion.cube.georeference import grid_of
from stsfusion.cube.grid import Grid
from stsfusion.cube.schema import check, validity
from stsfusion.cube.source import date_in
from stsfusion.errors import CubeError

PACKED = {"dtype": "int16", "scale_factor": 1e-4, "_FillValue": -1000}


def write_tif(path, values, *, nodata=None, wavelength=(480.0, 560.0), scale=1e-4, pixel=10.0):
    count, height, width = values.shape
    place = {"crs": "EPSG:32650", "transform": Affine(pixel, 0, 398000, 0, -pixel, 4420000), "nodata": nodata}
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=count, dtype=values.dtype, **place
    ) as file:
        file.write(values)
        file.scales, file.offsets = (scale,) * count, (0.0,) * count
        file.descriptions = [f"b{i}" for i in range(count)]
        for i, nm in enumerate(wavelength or ()):
            file.update_tags(i + 1, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=str(nm / 1000), FWHM_UM="0.03")


@pytest.mark.parametrize("kind", ["netcdf", "zarr"])
def test_a_packed_file_opens_as_the_cube_it_was(make_cube, tmp_path, kind):
    cube = make_cube()
    gappy = cube.where(cube > 0.01)
    path = tmp_path / ("mine.nc" if kind == "netcdf" else "mine.zarr")
    if kind == "netcdf":
        gappy.to_netcdf(path, engine="h5netcdf", encoding={"reflectance": PACKED})
    else:
        gappy.assign_coords(band=np.arange(4)).to_dataset().to_zarr(
            path, encoding={"reflectance": PACKED}, zarr_format=2
        )
    opened = open_cube(path)
    assert opened.chunks is not None
    assert opened.dtype == np.float32
    assert np.allclose(opened, gappy, atol=1e-7, equal_nan=True)
    assert np.array_equal(validity(opened), cube > 0.01)
    assert grid_of(opened) == grid_of(cube)
    assert np.array_equal(opened.wavelength, cube.wavelength)


def test_other_names_units_and_a_single_image_are_understood(make_cube, tmp_path):
    cube = make_cube((1, 4, 30, 36))
    image = cube.isel(time=0, drop=True).drop_vars(["band", "fwhm", "spatial_ref", "wavelength", "y", "x"])
    image = image.rename(band="wavelength", y="lines", x="samples")
    image = image.assign_coords(wavelength=("wavelength", cube.wavelength.values / 1000, {"units": "um"}))
    image.to_dataset(name="rho").assign_attrs(date="2021-12-13", gsd_m="20").to_netcdf(tmp_path / "one.nc")
    opened = open_cube(tmp_path / "one.nc")
    assert np.array_equal(opened.time.values, np.array(["2021-12-13"], "datetime64[ns]"))
    assert np.allclose(opened.wavelength, cube.wavelength)
    assert grid_of(opened) == Grid.local((30, 36), 20.0)
    assert np.array_equal(opened[0], cube[0])


def test_nan_without_a_word_is_refused_by_the_check(make_cube, tmp_path):
    cube = make_cube().where(make_cube() > 0.01)
    cube.to_netcdf(tmp_path / "nan.nc", engine="h5netcdf", encoding={"reflectance": {"_FillValue": None}})
    with pytest.raises(CubeError, match=r"NaN where 'valid' is True.*nodata"):
        check(open_cube(tmp_path / "nan.nc"))
    assert np.isnan(open_cube({"path": tmp_path / "nan.nc", "nodata": float("nan")})).any()


def test_a_stack_of_geotiffs_is_put_in_order_of_time(tmp_path):
    values = np.arange(2 * 20 * 30, dtype=np.int16).reshape(2, 20, 30)
    write_tif(tmp_path / "GF6_WFV_20220310_L1A0001120099.tif", values + 1, nodata=5)
    write_tif(tmp_path / "GF6_WFV_20211213_L1A0001120155.tif", values, nodata=5)
    (tmp_path / "notes.txt").write_text("not an image")
    opened = open_cube(tmp_path)
    assert list(opened.time.dt.strftime("%Y%m%d").values) == ["20211213", "20220310"]
    wanted = np.stack([values, values + 1]).astype(np.float32)
    wanted[wanted == 5] = np.nan
    assert np.allclose(opened, wanted * 1e-4, equal_nan=True, atol=1e-7)
    assert list(opened.wavelength.values) == [480.0, 560.0]
    assert list(opened.fwhm.values) == [30.0, 30.0]
    assert list(opened.band.values) == ["b0", "b1"]
    assert grid_of(opened) == Grid((20, 30), 10.0, (398000.0, 4420000.0), "EPSG:32650")


def test_what_files_do_not_tell_can_be_told(tmp_path):
    values = np.full((2, 8, 8), 2000, np.uint16)
    write_tif(tmp_path / "scene.tif", values, wavelength=None, scale=1.0)
    with pytest.raises(CubeError, match="a date in its name or tags"):
        open_cube(tmp_path / "scene.tif")
    told = {"path": tmp_path / "scene.tif", "times": ["2021-12-13"], "wavelength": [480, 560]}
    with pytest.raises(CubeError, match="uint16 without one"):
        open_cube(told)
    assert np.allclose(open_cube({**told, "scale": 1e-4}), 0.2)
    with pytest.raises(CubeError, match="2 numbers in 'wavelength', got 1"):
        open_cube({**told, "scale": 1e-4, "wavelength": [480]})


@pytest.mark.parametrize(
    ("told", "utc"),
    [
        ("2021-12-13", "2021-12-13"),
        ("2021-12-13T03:10:00", "2021-12-13T03:10"),
        ("2021-12-13T03:10+08:00", "2021-12-12T19:10"),
        ("2021-12-13T03:10:00Z", "2021-12-13T03:10"),
        (np.datetime64("2021-12-13T03:10"), "2021-12-13T03:10"),
        (datetime(2021, 12, 13, 3, tzinfo=timezone(timedelta(hours=8))), "2021-12-12T19:00"),
    ],
)
def test_dates_that_are_told_are_in_utc(tmp_path, told, utc):
    write_tif(tmp_path / "scene.tif", np.ones((2, 8, 8), np.int16))
    opened = open_cube({"path": tmp_path / "scene.tif", "times": [told]})
    assert opened.time.dtype == "datetime64[ns]"
    assert opened.time.values[0] == np.datetime64(utc)


@pytest.mark.parametrize("told", ["yesterday", "today", "2021-13-45", "", "12.3.2021", None, "2021-12-13T99"])
def test_what_is_no_date_is_refused(tmp_path, told):
    write_tif(tmp_path / "scene.tif", np.ones((2, 8, 8), np.int16))
    with pytest.raises(CubeError, match=r"key 'times': expected dates, got '.*\nWrite 2021-12-13"):
        open_cube({"path": tmp_path / "scene.tif", "times": [told]})


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # of rioxarray
def test_bands_that_are_described_alike_are_numbered(make_cube, tmp_path):
    import rioxarray  # noqa: F401

    make_cube()[0].rio.to_raster(tmp_path / "scene_20211213.tif")
    with rasterio.open(tmp_path / "scene_20211213.tif") as file:
        assert len(set(file.descriptions)) == 1
    told = {"path": tmp_path / "scene_20211213.tif", "wavelength": [450, 510, 570, 630]}
    opened = open_cube(told)
    assert list(opened.band.values) == ["1", "2", "3", "4"]
    np.testing.assert_array_equal(opened[0], make_cube()[0])


def test_two_files_of_one_date_are_refused_by_name(tmp_path):
    for name in ("a_20211213.tif", "b_2021-12-13.tif"):
        write_tif(tmp_path / name, np.ones((2, 8, 8), np.int16))
    with pytest.raises(CubeError, match=r"b_2021-12-13.tif: .*which a_20211213.tif has too"):
        open_cube(tmp_path)


def test_files_of_other_grids_are_refused(tmp_path):
    write_tif(tmp_path / "a_20211213.tif", np.ones((2, 8, 8), np.int16))
    write_tif(tmp_path / "b_20211214.tif", np.ones((2, 8, 8), np.int16), pixel=20.0)
    with pytest.raises(CubeError, match="Resample the files to one grid"):
        open_cube(tmp_path)


def test_a_vrt_that_calls_itself_a_tiff_is_refused(tmp_path):
    write_tif(tmp_path / "real_20211213.tif", np.ones((2, 8, 8), np.int16))
    (tmp_path / "false_20211213.tif").write_text(
        '<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Int16" band="1"><SimpleSource>'
        f"<SourceFilename>{tmp_path}/real_20211213.tif</SourceFilename><SourceBand>1</SourceBand>"
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(CubeError, match="a readable GeoTIFF"):
        open_cube(tmp_path / "false_20211213.tif")


@pytest.mark.parametrize(
    "place, fault",
    [
        ("https://example.org/cube.nc", "web address"),
        ("s3://bucket/cube.zarr", "web address"),
        ("/vsicurl/http://example.org/a.tif", "web address"),
        ("mosaic.vrt", "leads to others"),
        ('NETCDF:"a.nc":v', "leads to others"),
        ("not_there.nc", "nothing there"),
        ({"path": "a.nc", "wavelenght": [1]}, "Did you mean 'wavelength'"),
        ({"variable": "v"}, "a key 'path'"),
        ([], "GeoTIFF files, one a date"),
    ],
)
def test_only_local_files_of_known_kinds_are_opened(place, fault):
    with pytest.raises(CubeError, match=fault):
        open_cube(place)


def test_files_that_are_no_cube_are_refused(make_cube, tmp_path):
    (tmp_path / "text.nc").write_text("no NetCDF at all")
    with pytest.raises(CubeError, match="a readable NetCDF-4"):
        open_cube(tmp_path / "text.nc")
    (tmp_path / "cut.tif").write_bytes(b"II*\0 broken")
    with pytest.raises(CubeError, match="a readable GeoTIFF"):
        open_cube(tmp_path / "cut.tif")
    (tmp_path / "scene.img").write_bytes(b"")
    with pytest.raises(CubeError, match=r"suffix '.img'"):
        open_cube(tmp_path / "scene.img")
    cube = make_cube()
    cube.to_dataset(name="one").assign(two=cube).to_netcdf(tmp_path / "two.nc")
    with pytest.raises(CubeError, match=r"got one, two"):
        open_cube(tmp_path / "two.nc")
    with pytest.raises(CubeError, match="Did you mean 'two'"):
        open_cube({"path": tmp_path / "two.nc", "variable": "tow"})


@pytest.mark.parametrize(
    "text, date",
    [
        ("GF6_WFV_E116.7_N37.5_20211216_L1A1120152345", "2021-12-16"),
        ("ZY1E_AHSI_E116.72_N37.50_20211213_011812_L1A0000389921", "2021-12-13T01:18:12"),
        ("2021-12-13T01:18:12", "2021-12-13T01:18:12"),
        ("scene_120211213", None),
        ("scene", None),
    ],
)
def test_dates_are_found_in_names(text, date):
    assert date_in(text) == (None if date is None else np.datetime64(date))


def test_two_dates_in_a_name_are_refused():
    with pytest.raises(CubeError, match="one date in the name"):
        date_in("from_20211213_to_20211216")


@pytest.mark.parametrize(
    "scene", ["series/plain_a.nc", "scenes/indian_pines.nc", "scenes/enmap_potsdam_west.nc"]
)
def test_real_scenes_open(data_folder, scene):
    told = {"path": data_folder / scene}
    cube = check(open_cube(told if "plain" in scene else {**told, "times": ["2022-07-24"]}))
    assert cube.dims == ("time", "band", "y", "x")
    if "enmap" in scene:
        assert grid_of(cube).crs == "EPSG:32633"
        assert (~validity(cube)).any(("time", "y", "x")).sum() >= 6
