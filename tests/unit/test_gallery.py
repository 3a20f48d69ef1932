"""Walls of pictures, kernels and scores by band: what is drawn is what was given."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from stsfusion.views.bandscores import band_scores
from stsfusion.views.gallery import Tile, common_top, painted, wall
from stsfusion.views.kernels import Kernel, common, kernel_rows, widened
from stsfusion.views.maps import HEAT
from stsfusion.views.palette import EMPTY, HUES, png


def pixels(figure):
    return imread(io.BytesIO(png(figure)))[..., :3]


def has(image, colour):
    return bool((np.abs(image - np.array(to_rgb(colour))).max(-1) < 0.02).any())


@pytest.mark.parametrize("count", [1, 6, 7, 13])
def test_a_wall_has_a_picture_for_each(count):
    tiles = [Tile(f"method {i}", "0.1", np.full((4, 5), i / 12)) for i in range(count)]
    figure = wall(tiles, label="RMSE (reflectance)", top=1.0)
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in drawn] == [tile.title for tile in tiles]
    assert all(axes.images[0].get_clim() == (0, 1) for axes in drawn)
    assert "RMSE" in figure.axes[-1].get_ylabel()


def test_maps_take_their_colour_from_the_scale():
    image = pixels(wall([Tile("a", "", np.full((3, 3), 0.5))], label="x", top=1.0))
    assert has(image, HEAT(0.5))
    assert has(pixels(wall([Tile("a", "", np.full((3, 3), 9.0))], label="x", top=1.0)), HEAT(1.0))
    assert has(pixels(wall([Tile("a", "", np.full((3, 3), np.nan))], label="x", top=1.0)), EMPTY)


def test_the_method_that_matters_is_framed():
    assert has(pixels(wall([Tile("a", "", np.zeros((3, 3, 3)), own=True)])), HUES[0])
    assert not has(pixels(wall([Tile("a", "", np.zeros((3, 3, 3)))])), HUES[0])


def test_one_bad_method_does_not_set_the_scale():
    good, bad = np.full((5, 5), 0.01), np.full((5, 5), 3.0)
    assert common_top([good, good, bad]) == pytest.approx(0.01)
    assert common_top([np.full((2, 2), np.nan)]) == 1.0


def test_colours_are_stretched_between_the_limits():
    look = np.stack([np.full((2, 2), value) for value in (0.1, 0.3, 0.9)])
    look[:, 0, 0] = np.nan
    colours = painted(look, np.array([[0.1, 0.3]] * 3))
    assert colours[1, 1].tolist() == [0.0, 1.0, 1.0]
    assert np.allclose(colours[0, 0], to_rgb(EMPTY))


def test_kernels_have_in_common_what_lies_in_both():
    block = np.full((4, 4), 1 / 16)
    spot = np.zeros((4, 4))
    spot[1, 1] = 1.0
    assert common(block, block) == pytest.approx(1.0)
    assert common(block, spot) == pytest.approx(1 / 16)
    assert common(widened(block, 12), block) == pytest.approx(1.0)
    assert common(block, np.roll(widened(block, 12), 1, 0)) == pytest.approx(0.75)


def test_a_row_of_kernels_says_how_much_each_has_in_common():
    block = np.full((4, 4), 1 / 16)
    moved = np.roll(widened(block, 8), 1, 1)
    figure = kernel_rows({"box": [Kernel("truth", block), Kernel("estimated", moved)]}, 4)
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert words == ["", "75.0 % in common"]
    assert [axes.get_title() for axes in figure.axes] == ["truth", "estimated"]
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_a_method_keeps_its_colour_from_panel_to_panel():
    nm = np.linspace(450, 900, 12)
    names = ["a", "b", "ours"]
    lines = {name: np.full(12, 30.0 + i) for i, name in enumerate(names)}
    figure = band_scores(nm, {"one": lines, "two": {"b": lines["b"]}}, label="PSNR (dB)", own="ours")
    first, second = figure.axes
    assert [line.get_color() for line in first.lines][2] == HUES[0]
    assert first.lines[1].get_color() == second.lines[0].get_color()
    assert np.nanmax(first.lines[2].get_ydata()) == 32.0
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names
