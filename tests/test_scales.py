"""Laws of the scales of intensities and colours."""

from __future__ import annotations

import numpy as np
import pytest
from builders import make_cloud

from pcaug.augment.values import ColourJitter
from pcaug.scales import bright, colour_scale, intensity_scale, on_scale
from pcaug.segment.features import prepare


def test_values_of_another_scale_are_brought_to_it_and_those_of_the_same_stay() -> None:
    unit = np.linspace(0, 1, 101, dtype=np.float32)
    wide = np.rint(unit * 65535).astype(np.uint16)
    for scale in (colour_scale, bright):
        np.testing.assert_allclose(on_scale(unit, wide, scale).astype(int), wide, atol=1)
        np.testing.assert_allclose(on_scale(wide, unit, scale), unit, atol=2e-5)
        assert on_scale(wide, unit, scale).dtype == np.float32
    np.testing.assert_array_equal(on_scale(np.uint16([0, 100, 255]), wide, colour_scale), [0, 25700, 65535])
    dark, light = np.arange(200, dtype=np.uint16), np.arange(900, dtype=np.uint16)  # of one scanner, that counts up to 1000
    decibels = -20 * unit - 1
    for values, like in ((dark, light), (light, dark), (unit * 243, unit * 255), (decibels, wide), (wide, decibels)):
        assert on_scale(values, like, bright) is values
    assert len(on_scale(unit[:0], wide, bright)) == 0


def test_intensities_of_instruments_that_do_not_fill_their_type_meet_in_brightness() -> None:
    rng = np.random.default_rng(0)
    airborne = np.rint(rng.beta(3, 2, 5000) * 4095).astype(np.uint16)  # 12 bits in a file of 16, and a stray echo
    airborne[7] = 43_840
    composed, eight = rng.beta(3, 2, 5000).astype(np.float32), np.rint(rng.beta(3, 2, 5000) * 255).astype(np.uint8)
    for values in (composed, eight):
        brought = on_scale(values, airborne, bright)
        assert brought.dtype == np.uint16
        for share in (25, 50, 95):
            assert np.percentile(brought, share) == pytest.approx(np.percentile(airborne, share), rel=0.06)
    told = [intensity_scale(values) for values in (airborne, airborne.astype(np.float32), composed, eight, -20 * composed - 1)]
    assert told == [4095, 4095, 1, 255, 1]
    assert intensity_scale(np.full(3, np.nan)) == 1


@pytest.mark.parametrize("top", [255, 65535])
@pytest.mark.parametrize("dtype", ["u2", "u4", "i4", "i8", "f4"])
def test_colours_end_at_255_or_65535_whatever_their_type(dtype: str, top: int) -> None:
    rgb = np.array([[top, 0, 0], [0, top // 2, top]], dtype)
    cloud = make_cloud(2, rgb=rgb)
    assert colour_scale(rgb) == top
    np.testing.assert_allclose(prepare(cloud, ("colour",), 1e-4, "map").features.max(), 1)
    changed = [ColourJitter(0.5)(cloud, np.random.default_rng(seed))["rgb"] for seed in range(20)]
    assert all(new.dtype == rgb.dtype and new.min() >= 0 and new.max() <= top for new in changed)
    assert any((new != rgb).any() for new in changed)
