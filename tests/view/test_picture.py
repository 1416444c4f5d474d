from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import make_cloud
from PIL import Image
from view.builders_view import rich_cloud

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError
from pcaug.view.colours import UNKNOWN, colours
from pcaug.view.picture import MARKS, PAPER, _shortened, legend, render, save_png, spacing


def test_a_picture_has_its_size_and_shows_something() -> None:
    image = render(make_cloud(3000), 320, 200)
    assert image.shape == (200, 320, 3)
    assert image.dtype == np.uint8
    assert 0.2 < (image != PAPER).any(axis=2).mean() < 1


def test_what_is_in_front_hides_what_is_behind() -> None:
    grid = np.stack(np.meshgrid(np.arange(60.0), np.arange(60.0)), -1).reshape(-1, 2) / 6
    low, high = (np.column_stack([grid, np.full(len(grid), z)]) for z in (0.0, 3.0))
    label = np.repeat([2, 7], len(grid)).astype(np.uint16)  # terrain under a roof
    cloud = PointCloud(np.concatenate([low, high]), {"label": label}, catalogue.taxonomy())
    middle = render(cloud, 200, 200, "class", elevation=90)[60:140, 60:140]
    assert (np.abs(middle.astype(int) - catalogue.taxonomy().colour(7)).max(axis=2) < 40).mean() > 0.99


def test_a_step_casts_an_edge() -> None:
    grid = np.stack(np.meshgrid(np.arange(100.0), np.arange(100.0)), -1).reshape(-1, 2) / 10
    z = np.where(grid[:, 0] > 5, 4.0, 0.0)
    cloud = PointCloud(np.column_stack([grid, z]), {"label": np.full(len(z), 2, np.uint16)}, catalogue.taxonomy())
    image = render(cloud, 200, 200, "class", elevation=90).astype(int).sum(axis=2)
    assert image[100, 60:140].min() < image[100, 20] - 60


def test_empty_and_single_points_are_pictures_too() -> None:
    cloud = make_cloud(1)
    assert (render(cloud, 50, 40) != PAPER).any()
    assert (render(cloud.take(slice(0, 0)), 50, 40) == PAPER).all()


def test_far_strays_do_not_shrink_the_picture() -> None:
    cloud = make_cloud(3000)
    stray = cloud.xyz.copy()
    stray[0] = 1e7
    both = [(render(PointCloud(xyz), 100, 100, "height") != PAPER).any(axis=2).mean() for xyz in (cloud.xyz, stray)]
    assert both[1] == pytest.approx(both[0], rel=0.1)


def test_nothing_of_a_square_is_cut_off() -> None:
    x, y = np.meshgrid(np.arange(120.0), np.arange(120.0))
    cloud = PointCloud(np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)]))
    image = render(cloud, 300, 300, azimuth=-45.0, elevation=90.0)  # on a corner
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    assert (border == 250).all()
    assert (image != 250).any()


def test_the_same_cloud_gives_the_same_bytes() -> None:
    cloud = make_cloud(500)
    np.testing.assert_array_equal(render(cloud, 90, 90), render(cloud, 90, 90))


def test_a_plan_has_north_above_and_a_span_the_same_scale_for_all() -> None:
    """An arm of 20 m to the east and one of 10 m to the north, seen from above in 40 m."""
    arm = np.linspace(0, 1, 400)[:, None]
    cloud = PointCloud(np.concatenate([arm * (20, 0, 0), arm * (0, 10, 0)]))
    image = render(cloud, 200, 200, "height", elevation=90.0, span=40.0)
    row, column = np.nonzero((image != PAPER).any(axis=2))
    assert np.ptp(column) == pytest.approx(20 / 40 * 0.92 * 200, abs=8)
    assert np.ptp(row) == pytest.approx(10 / 40 * 0.92 * 200, abs=8)
    corner = column[row > row.max() - 3]
    assert np.ptp(corner) > 80  # the eastern arm is the lower one
    assert np.ptp(column[row < row.min() + 10]) < 12  # and the northern one stands at its western end
    assert column[row < row.min() + 10].max() < column.mean()


def test_spacing_is_the_grid_step() -> None:
    grid = np.stack(np.meshgrid(np.arange(30.0), np.arange(30.0)), -1).reshape(-1, 2)
    assert spacing(PointCloud(np.column_stack([grid, np.zeros(900)]))) == pytest.approx(1.0)


def test_the_legend_names_what_occurs_and_nothing_else() -> None:
    cloud = make_cloud(100)
    only = cloud.take(cloud["label"] == 21)
    assert legend([only], ["class"]) == {"car": catalogue.taxonomy().colour(21)}
    assert legend([cloud], ["height"]) == {}
    assert set(legend([rich_cloud(50)], ["error"])) == {"right", "wrong", "unknown"}


def test_the_legend_names_native_ids_the_most_frequent_first_and_bounds_their_number() -> None:
    few = PointCloud(np.zeros((6, 3)), {"native_label": np.array([7, 7, 7, 0, 0, 40], np.uint16)})
    marks = legend([few], ["native"])
    assert list(marks) == ["7", "0", "40"]
    assert marks["0"] == UNKNOWN
    assert marks["7"] == tuple(colours(few, "native")[0])
    many = PointCloud(np.zeros((100, 3)), {"native_label": np.arange(100, dtype=np.uint16)})
    assert len(legend([many], ["native"])) == MARKS + 1
    assert list(legend([many], ["native"]))[-1] == f"{100 - MARKS} rarer ids"


@pytest.mark.parametrize("colour", [None, "intensity", "error", "instance"])
def test_png_of_several_clouds(tmp_path: Path, colour: str | None) -> None:
    target = tmp_path / "new" / "clouds.png"
    save_png([rich_cloud(300, seed=s) for s in range(4)], target, ["a $x$", "<b>", "日本", ""], colour, 200, 150)
    with Image.open(target) as image:
        assert image.width > 3 * 200
        assert image.height > 2 * 150
    assert [p.name for p in target.parent.iterdir()] == ["clouds.png"]


def test_long_titles_keep_the_end_that_tells_them_apart() -> None:
    assert _shortened("Block 12 north tile 0041", 12) == "…h tile 0041"
    assert _shortened("sequences/08/velodyne/000041.bin", 11) == "…000041.bin"
    assert _shortened("Block 12", 12) == "Block 12"


def test_no_clouds_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PcaugError, match="no clouds"):
        save_png([], tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
