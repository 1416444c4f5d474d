from __future__ import annotations

import numpy as np
import pytest
from builders import make_cloud

from pcaug.errors import PcaugError
from pcaug.view.window import parts, show


def test_no_display_offers_the_page_and_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(PcaugError, match="--html FILE or --png FILE"):
        show([make_cloud(5)], ["x"])


def test_a_window_without_points_is_an_error() -> None:
    with pytest.raises(PcaugError, match="no points"):
        show([make_cloud(5).take(slice(0, 0))], ["x"])


def test_parts_are_the_classes_that_occur_and_clouds_stand_apart() -> None:
    one, two = make_cloud(200), make_cloud(200, seed=1)
    two = two.take(two["label"] != 21)
    made = parts([one, two], ["one", ""])
    first, second = ([p for p in made if p.group == g] for g in ("one", "cloud 2"))
    assert {p.name for p in first} - {p.name for p in second} == {"car"}
    assert sum(len(p.xyz) for p in first) == 200
    assert max(p.xyz[:, 0].max() for p in first) < min(p.xyz[:, 0].min() for p in second)
    assert all(p.paint.max() <= 1 for p in made)
    assert [p.name for p in parts([one], ["x"], "height")] == ["height"]


def test_parts_stay_near_the_origin() -> None:
    cloud = make_cloud(50)
    far = cloud.moved(np.array([[1, 0, 0, 5e5], [0, 1, 0, 6e6], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    assert max(np.abs(p.xyz).max() for p in parts([far], [""])) < 10
