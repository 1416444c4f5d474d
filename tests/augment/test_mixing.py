"""Mixers against the published algorithms on known inputs; every one invents no label and can account for its points."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from builders import make_cloud

from pcaug import catalogue
from pcaug.augment import AUGMENTATIONS, MIXERS, build
from pcaug.augment.instances import instances, outermost
from pcaug.augment.mixing import CutMix, LaserMix, Mix3D, PolarMix, alike, join
from pcaug.augment.paste import PasteObjects
from pcaug.augment.recipe import AugmentRecipe, augment_corpus
from pcaug.cloud import PointCloud
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import LabelError, PcaugError
from pcaug.generate.bank import gather, write_bank

TAXONOMY = catalogue.taxonomy()
ROAD, TREE, BUILDING, CAR, PERSON = (TAXONOMY.id(name) for name in ("road", "tree", "building", "car", "person"))


def make_scan(seed: int, n: int = 4000, origin: int = 1) -> PointCloud:
    """A scan in its sensor's frame: flat road 1.7 m below, cars at random, numbered by ``instance``."""
    rng = np.random.default_rng(seed)
    ground = np.column_stack([rng.uniform(-30, 30, (n, 2)), np.full(n, -1.7)])
    cars, owner = [], []
    for index in range(6):
        azimuth, distance = 2 * np.pi * index / 6 + rng.uniform(0, 0.3), rng.uniform(8, 20)
        box = rng.uniform(-1, 1, (80, 3)) * (2.1, 0.9, 0.7) + (distance, 0, -0.95)
        cos, sin = np.cos(azimuth), np.sin(azimuth)
        cars.append(box @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]))
        owner.append(np.full(80, index + 1))
    label = np.concatenate([np.full(n, ROAD), np.full(480, CAR)]).astype(np.uint16)
    instance = np.concatenate([np.zeros(n), *owner]).astype(np.int32)
    xyz = np.concatenate([ground, *cars])
    row = np.arange(len(xyz)) + 100_000 * origin
    return PointCloud(xyz, {"label": label, "instance": instance, "row": row}, TAXONOMY)


def make_map(seed: int, origin: int = 1) -> PointCloud:
    """A map: ground, trees and buildings far from its origin."""
    rng = np.random.default_rng(seed)
    xyz = np.column_stack([rng.uniform(1000, 1060, (5000, 2)), rng.uniform(0, 0.1, 5000)]) + (0, 0, 10 * origin)
    label = np.full(5000, ROAD, np.uint16)
    label[:300], label[300:600] = TREE, BUILDING
    xyz[:600, 2] += 4
    return PointCloud(xyz, {"label": label, "row": np.arange(5000) + 100_000 * origin}, TAXONOMY)


def pairs(name: str) -> tuple[PointCloud, PointCloud]:
    return (make_map(1), make_map(2, 2)) if name == "cutmix" else (make_scan(1), make_scan(2, origin=2))


@pytest.mark.parametrize("name", MIXERS)
def test_mixers_invent_no_point_and_no_label(name: str) -> None:
    first, second = pairs(name)
    mixed = build(MIXERS, {"name": name})(first, second, np.random.default_rng(0))
    assert set(np.unique(mixed["row"] // 100_000)) == {1, 2}
    known = dict(
        zip(np.concatenate([first["row"], second["row"]]), np.concatenate([first["label"], second["label"]]), strict=True)
    )
    assert all(known[row] == label for row, label in zip(mixed["row"], mixed["label"], strict=True))


@pytest.mark.parametrize("name", MIXERS)
def test_same_key_same_bytes_and_another_taxonomy_is_refused(name: str) -> None:
    first, second = pairs(name)
    once, again = (build(MIXERS, {"name": name})(first, second, np.random.default_rng(3)) for _ in range(2))
    assert once.xyz.tobytes() == again.xyz.tobytes()
    with pytest.raises(PcaugError, match="one taxonomy"):
        build(MIXERS, {"name": name})(first, PointCloud(second.xyz), np.random.default_rng(0))


@pytest.mark.parametrize("name", MIXERS)
def test_intensities_and_colours_of_the_other_come_on_the_scale_of_the_first(name: str) -> None:
    rng = np.random.default_rng(0)

    def shaded(cloud: PointCloud, bright: float, dtype: type, most: int) -> PointCloud:
        level = (rng.uniform(0.2, 0.6, len(cloud)) * bright).astype(dtype)
        return cloud.with_fields(intensity=level, rgb=(rng.uniform(0.2, 0.6, (len(cloud), 3)) * most).astype(np.uint16))

    first, second = pairs(name)
    scales = (65535, np.uint16, 65535), (1, np.float32, 255)
    for scale, other in (scales, scales[::-1]):
        bright, dtype, most = scale
        mixed = build(MIXERS, {"name": name})(shaded(first, *scale), shaded(second, *other), np.random.default_rng(0))
        assert mixed["intensity"].dtype == dtype
        theirs = mixed["row"] // 100_000 == 2
        for whose in (theirs, ~theirs):
            assert np.median(mixed["intensity"][whose]) == pytest.approx(0.4 * bright, rel=0.2)
            assert np.median(mixed["rgb"][whose]) == pytest.approx(0.4 * most, rel=0.2)


@pytest.mark.parametrize("name", ["polarmix", "lasermix"])
def test_what_belongs_to_spinning_scans_is_refused_for_maps_with_the_reason(name: str) -> None:
    several = make_cloud(50, number_of_returns=np.full(50, 2, np.uint8))
    geo = PointCloud(make_scan(1).xyz, {"label": make_scan(1)["label"]}, TAXONOMY, crs="EPSG:25832")
    above = PointCloud(make_scan(1).xyz + (0, 0, 5), {"label": make_scan(1)["label"]}, TAXONOMY)
    for cloud, reason in (
        (make_map(1), "one side"),
        (several, "several returns"),
        (geo, "georeferenced"),
        (above, "nothing lies below"),
    ):
        with pytest.raises(PcaugError, match=reason):
            build(MIXERS, {"name": name})(cloud, make_scan(2), np.random.default_rng(0))


def test_cutmix_is_refused_for_a_spinning_scan() -> None:
    with pytest.raises(PcaugError, match="belong to their range"):
        CutMix()(make_scan(1), make_scan(2), np.random.default_rng(0))


def test_polarmix_is_the_published_algorithm() -> None:
    """Algorithm of the paper in its own words: cut both by yaw, exchange, then paste copies of the other's instances."""
    first, second = make_scan(1), make_scan(2, origin=2)
    mixed = PolarMix(swap=1.0, classes=("car",), turns=2)(first, second, np.random.default_rng(4))
    rng = np.random.default_rng(4)
    rng.random()
    start = np.radians(rng.uniform(0, 360))
    rng.uniform(180, 180)
    omegas = [0.0, *((np.arange(2) + rng.random(2)) * 2 * np.pi / 3)]  # omega_j in the j-th third of the circle

    def inside(xyz: np.ndarray) -> np.ndarray:
        yaw = np.arctan2(xyz[:, 1], xyz[:, 0]) % (2 * np.pi)
        end = (start + np.pi) % (2 * np.pi)
        return (yaw >= start) & (yaw < end) if start < end else (yaw >= start) | (yaw < end)

    car = second["label"] == CAR  # those of the sector stay where they stood, and would come twice
    parts = [first.xyz[~inside(first.xyz)], second.xyz[inside(second.xyz) & ~car]]
    things = second.xyz[car]
    for omega in omegas:
        rotation = np.array([[np.cos(omega), -np.sin(omega), 0], [np.sin(omega), np.cos(omega), 0], [0, 0, 1]])
        parts.append((rotation @ things.T).T)
    np.testing.assert_allclose(mixed.xyz, np.concatenate(parts), atol=1e-9)
    numbers = [np.unique(mixed["instance"][(mixed["row"] // 100_000 == o) & (mixed["instance"] > 0)]) for o in (1, 2)]
    assert not set(numbers[0]) & set(numbers[1])  # objects of both keep numbers of their own
    assert len(np.unique(mixed.xyz, axis=0)) == len(mixed)


@pytest.mark.parametrize("bands", [2, 3, 4, 5, 6])
def test_lasermix_is_the_published_algorithm(bands: int) -> None:
    first, second = make_scan(1), make_scan(2, origin=2)
    mixed = LaserMix(bands=(bands,))(first, second, np.random.default_rng(bands))

    def angle(xyz: np.ndarray) -> np.ndarray:
        return np.degrees(np.arctan2(xyz[:, 2], np.sqrt(xyz[:, 0] ** 2 + xyz[:, 1] ** 2)))

    edges = np.linspace(-25, 3, bands + 1)
    sources = []
    for low, high in pairwise(edges):
        low, high = (-90 if low == -25 else low), (90 if high == 3 else high)  # what lies beyond the limits is in the outer bands
        own = mixed.take((angle(mixed.xyz) >= low) & (angle(mixed.xyz) < high))
        if len(own):
            assert len(np.unique(own["row"] // 100_000)) == 1
            source = first if own["row"][0] // 100_000 == 1 else second
            assert len(own) == ((angle(source.xyz) >= low) & (angle(source.xyz) < high)).sum()
            sources.append(own["row"][0] // 100_000)
    assert all(a != b for a, b in pairwise(sources))


def test_mix3d_is_the_sum_with_ground_aligned() -> None:
    first, second = make_map(1), make_map(2, 2)
    mixed = Mix3D()(first, second, np.random.default_rng(0))
    assert len(mixed) == len(first) + len(second)
    ground = mixed["label"] == ROAD
    level = [np.median(mixed.xyz[ground & (mixed["row"] // 100_000 == o), 2]) for o in (1, 2)]
    assert level[0] == pytest.approx(level[1])
    scans = Mix3D()(make_scan(1), make_scan(2, origin=2), np.random.default_rng(0))
    np.testing.assert_allclose(scans.xyz[-480:, :2], make_scan(2).xyz[-480:, :2])  # the sensor stays where it is


def test_cutmix_replaces_blocks_and_accounts_for_every_point() -> None:
    first, second = make_map(1), make_map(2, 2)
    mixed = CutMix(blocks=1, edge=10)(first, second, np.random.default_rng(1))
    gone = ~np.isin(first["row"], mixed["row"])
    new = mixed["row"] >= 200_000
    assert len(mixed) == len(first) - gone.sum() + new.sum()
    assert (np.ptp(first.xyz[gone, :2], axis=0) <= 10).all()
    assert (mixed.xyz[new, :2].min(axis=0) >= first.xyz[gone, :2].min(axis=0) - 1.5).all()
    ground = mixed["label"] == ROAD
    assert np.median(mixed.xyz[new & ground, 2]) == pytest.approx(np.median(mixed.xyz[~new & ground, 2]), abs=0.02)


def test_pasted_objects_stand_on_the_ground_in_free_space_and_every_point_is_explained() -> None:
    first, second = make_scan(1), make_scan(2, origin=2)
    hill = first.xyz.copy()
    hill[:, 2] += 0.03 * hill[:, 0]  # a slope: ground contact is not the donor's height
    first = PointCloud(hill, first.fields, TAXONOMY)
    done = PasteObjects(classes=("car",), number=6).apply(first, second, np.random.default_rng(0))
    assert done.objects >= 2
    assert len(done.cloud) == len(first) - done.hidden + done.pasted
    new = done.cloud.take(done.cloud["row"] >= 200_000)
    assert done.pasted - done.hidden <= len(new) <= done.pasted  # a later one may hide some of an earlier one
    for number in np.unique(new["instance"]):
        car = new.xyz[new["instance"] == number]
        middle = car.mean(axis=0)
        assert car[:, 2].min() == pytest.approx(-1.7 + 0.03 * middle[0], abs=0.25)
        old = first.xyz[first["label"] == CAR]
        assert np.linalg.norm(old[:, None, :2] - car[None, ::8, :2], axis=2).min() > 0.2
        donor = second.xyz[np.isin(second["row"], new["row"][new["instance"] == number])]
        np.testing.assert_allclose(  # turned about the sensor: ranges are the donor's
            np.sort(np.linalg.norm(car[:, :2], axis=1)), np.sort(np.linalg.norm(donor[:, :2], axis=1)), atol=1e-9
        )


def make_wall(distance: float, label: int, half: float = 6.0) -> PointCloud:
    """A dense upright plane across the x axis, with the ground before and behind it."""
    y, z = np.meshgrid(np.arange(-half, half, 0.05), np.arange(-1.6, 1.5, 0.05))
    wall = np.column_stack([np.full(y.size, distance), y.ravel(), z.ravel()])
    plan = np.stack(np.meshgrid(np.arange(-30, 30, 0.4), np.arange(-30, 30, 0.4)), axis=-1).reshape(-1, 2)
    ground = np.column_stack([plan, np.full(len(plan), -1.7)])
    labels = np.concatenate([np.full(len(wall), label), np.full(len(ground), ROAD)]).astype(np.uint16)
    return PointCloud(np.concatenate([wall, ground]), {"label": labels}, TAXONOMY)


def make_still(angle: float) -> np.random.Generator:
    class Still(np.random.Generator):
        def uniform(self, *_: object, **__: object) -> float:  # type: ignore[override]
            return angle

    return Still(np.random.PCG64(0))


def make_person(distance: float) -> PointCloud:
    y, z = np.meshgrid(np.arange(-0.25, 0.25, 0.05), np.arange(-1.7, 0.1, 0.05))
    xyz = np.column_stack([np.full(y.size, distance), y.ravel(), z.ravel()])
    return PointCloud(xyz, {"label": np.full(len(xyz), PERSON, np.uint16)}, TAXONOMY)


def test_a_pasted_object_hides_what_is_behind_it() -> None:
    scene = make_wall(20.0, BUILDING)
    done = PasteObjects(classes=("person",), number=1).apply(scene, make_person(8.0), make_still(0.0))
    assert (done.objects, done.lost) == (1, 0)
    wall = done.cloud.xyz[done.cloud["label"] == BUILDING]
    shadow = (np.abs(wall[:, 1]) < 0.2 * 20 / 8) & (wall[:, 2] < 0.0)
    assert not shadow.any()
    beside = (np.abs(wall[:, 1]) > 0.35 * 20 / 8) & (np.abs(wall[:, 1]) < 0.6 * 20 / 8)
    assert (
        beside.sum()
        == ((np.abs(scene.xyz[:, 1]) > 0.35 * 20 / 8) & (np.abs(scene.xyz[:, 1]) < 1.5) & (scene["label"] == BUILDING)).sum()
    )
    assert done.hidden > 100


def test_a_pasted_object_loses_what_is_hidden_and_is_left_out_where_nothing_is_seen() -> None:
    low = make_wall(6.0, BUILDING)
    low = low.take((low["label"] == ROAD) | (low.xyz[:, 2] < -0.9))  # a wall up to the hips
    done = PasteObjects(classes=("person",), number=1, seen=0.2).apply(low, make_person(12.0), make_still(0.0))
    assert done.objects == 1
    person = done.cloud.xyz[done.cloud["label"] == PERSON]
    assert person[:, 2].min() > -0.9 * 12 / 6 - 0.2  # below the sight line over the wall nothing is left
    assert done.lost + done.pasted == len(make_person(12.0))
    whole = make_wall(6.0, BUILDING)
    none = PasteObjects(classes=("person",), number=1).apply(whole, make_person(12.0), make_still(0.0))
    assert none.objects == 0
    assert none.cloud is whole


def test_rare_classes_are_pasted_first() -> None:
    scene, person = make_scan(1), make_person(9.0)
    donors = PointCloud(
        np.concatenate([make_scan(2).xyz[4000:], person.xyz]),
        {"label": np.concatenate([np.full(480, CAR), np.full(len(person), PERSON)]).astype(np.uint16)},
        TAXONOMY,
    )
    firsts = []
    for seed in range(30):
        done = PasteObjects(classes=("car", "person"), number=1).apply(scene, donors, np.random.default_rng(seed))
        firsts += [PERSON in done.cloud["label"]] if done.objects else []
    assert np.mean(firsts) > 0.8  # the scene has 480 points of cars and none of persons


def test_objects_are_pasted_into_a_map_and_hide_the_ground_below() -> None:
    target = make_map(1)
    car = make_scan(2).take(slice(4000, 4080))
    done = PasteObjects(classes=("car",), number=1, least=10).apply(target, car, np.random.default_rng(0))
    assert done.objects == 1
    placed = done.cloud.xyz[done.cloud["label"] == CAR]
    assert 1000 < placed[:, 0].min() < 1060
    assert placed[:, 2].min() == pytest.approx(10.05, abs=0.2)
    assert len(done.cloud) == len(target) - done.hidden + done.pasted


def test_instances_are_told_by_number_or_by_clustering_and_trees_get_their_crowns() -> None:
    scan = make_scan(1)
    dense = np.repeat(scan.xyz[4000:], 8, axis=0) + np.random.default_rng(1).normal(0, 0.1, (480 * 8, 3))
    fields = {name: np.repeat(scan[name][4000:], 8) for name in ("label", "instance")}
    scan = PointCloud(dense, fields, TAXONOMY)
    numbered = [rows for _, rows in instances(scan, "vehicle")]
    clustered = [rows for _, rows in instances(scan.with_fields(instance=None), "vehicle")]
    assert sorted(map(len, numbered)) == sorted(map(len, clustered)) == [640] * 6
    rng = np.random.default_rng(0)
    trunks = [np.column_stack([rng.normal(x, 0.1, (60, 2)), np.linspace(0, 3, 60)]) for x in (0.0, 10.0)]
    crown = rng.normal(0, 0.8, (200, 3)) + (0, 0, 5)
    bush = rng.normal(0, 0.1, (50, 3)) + (1.0, 0, 0.3)
    label = np.repeat([TREE, TREE, TAXONOMY.id("vegetation"), TAXONOMY.id("vegetation")], [60, 60, 200, 50]).astype(np.uint16)
    wood = PointCloud(np.concatenate([*trunks, crown, bush]), {"label": label}, TAXONOMY)
    assert sorted(len(rows) for _, rows in instances(wood, "tree")) == [60, pytest.approx(260, abs=3)]
    numbered = wood.with_fields(instance=np.repeat([1, 2, 1, 2], [60, 60, 200, 50]).astype(np.int32))
    assert sorted(len(rows) for _, rows in instances(numbered, "tree")) == [60, 260]  # the bush 2 stands by no trunk 2
    with pytest.raises(LabelError, match="no labels"):
        list(instances(PointCloud(np.zeros((1, 3))), "car"))


def test_objects_keep_numbers_of_their_own_however_large_they_are() -> None:
    ids = np.array([2_000_000_000, 2_000_000_000, 5, 0, -1], np.int32)
    one = make_cloud(5, instance=ids)
    found = join(join(one, one), one)["instance"]
    _, points = np.unique(found[found > 0], return_counts=True)
    assert sorted(points.tolist()) == [1, 1, 1, 2, 2, 2]
    assert (found <= 0).sum() == 6


def test_an_object_of_nested_classes_is_cut_out_once() -> None:
    assert outermost(["car", "vehicle", "pole", "pole"]) == ["vehicle", "pole"]


def test_objects_of_maps_are_not_pasted_into_scans(tmp_path: Path) -> None:
    paste = AugmentRecipe(name="paste", mix=({"name": "paste", "classes": ["vehicle"]},))
    for frame in ("sensor", "map"):
        with CorpusWriter(tmp_path / frame, frame=frame) as writer:  # type: ignore[arg-type]
            writer.add(make_scan(1), "a", "a")
    scans, site = Corpus.open(tmp_path / "sensor"), Corpus.open(tmp_path / "map")
    bank = tmp_path / "bank"
    write_bank(gather(site, ["vehicle"]), bank)
    for donors in (site, Corpus.open(bank)):
        with pytest.raises(PcaugError, match="holds objects of a map"):
            augment_corpus(paste, scans, tmp_path / "out", 0, donors=donors)
    augment_corpus(paste, site, tmp_path / "out", 0, donors=Corpus.open(bank))


def seen_by(elevations: list[float], seed: int, numbers: list[int] | None = None) -> PointCloud:
    """A flat road 1.7 m below a spinning scanner, and six cars, each point on the beam that looks at it."""
    rng, table = np.random.default_rng(seed), np.radians(elevations)
    up, azimuth = np.repeat(table, 400), np.tile(np.linspace(-np.pi, np.pi, 400, endpoint=False), len(table))
    reach = np.where(up < -0.02, -1.7 / np.sin(np.minimum(up, -0.02)), 60.0)
    cars = (np.abs(azimuth % (np.pi / 3) - 0.5) < 0.12) & (reach > 12) & (up < np.arctan2(-0.2, 11)) & (up > np.arctan2(-1.6, 12))
    reach = np.where(cars, rng.uniform(11, 12, len(up)), reach)
    xyz = np.column_stack([np.cos(up) * np.cos(azimuth), np.cos(up) * np.sin(azimuth), np.sin(up)]) * reach[:, None]
    ring = np.repeat(np.arange(len(table)) if numbers is None else numbers, 400).astype(np.uint16)
    label = np.where(cars, CAR, np.where(up < -0.02, ROAD, BUILDING)).astype(np.uint16)
    return PointCloud(xyz, {"label": label, "ring": ring}, TAXONOMY)


FEW_BEAMS, MANY_BEAMS = np.linspace(15, -15, 16).tolist(), np.linspace(2, -25, 64).tolist()


@pytest.mark.parametrize("name", ["paste", "polarmix", "lasermix", "mix3d"])
def test_points_of_another_scanner_get_the_rings_of_the_beams_that_look_at_them(name: str) -> None:
    cloud, other = seen_by(FEW_BEAMS, 1), seen_by(MANY_BEAMS, 2)
    cloud, other = (each.with_fields(own=np.full(len(each), own)) for each, own in ((cloud, 1), (other, 0)))
    table = {"name": name} | ({"classes": ["car"]} if name == "paste" else {"swap": 1.0} if name == "polarmix" else {})
    mixed = build(MIXERS, table)(cloud, other, np.random.default_rng(3))
    assert mixed["ring"].max() == 15
    angle = np.degrees(np.arcsin(mixed.xyz[:, 2] / np.linalg.norm(mixed.xyz, axis=1)))
    assert (np.abs(angle - np.array(FEW_BEAMS)[mixed["ring"]]) <= 1.001)[angle > -15].all()
    thinned = build(AUGMENTATIONS, {"name": "fewer_beams", "to": 8})(mixed, np.random.default_rng(0))
    assert len(np.unique(thinned["ring"])) == 8
    assert thinned["own"].sum() > 0.4 * mixed["own"].sum()


@pytest.mark.parametrize("name", ["paste", "polarmix", "lasermix", "mix3d"])
def test_rings_of_the_same_scanner_stay(name: str) -> None:
    cloud, other = seen_by(MANY_BEAMS, 1), seen_by(MANY_BEAMS, 2).with_fields(mine=np.arange(64 * 400))
    cloud = cloud.with_fields(mine=np.full(64 * 400, -1))
    table = {"name": name} | ({"classes": ["car"]} if name == "paste" else {})
    mixed = build(MIXERS, table)(cloud, other, np.random.default_rng(3))
    new = mixed["mine"] >= 0
    np.testing.assert_array_equal(mixed["ring"][new], other["ring"][mixed["mine"][new]])


def test_beams_that_are_counted_the_other_way_are_another_scanners() -> None:
    other = seen_by(MANY_BEAMS, 2, list(range(64))[::-1])
    np.testing.assert_array_equal(alike(seen_by(MANY_BEAMS, 1), other)["ring"], 63 - other["ring"])


def test_a_map_has_no_rings_where_a_scanner_of_more_is_mixed_in() -> None:
    first, second = make_map(1), make_map(2, 2)
    few, many = (np.arange(5000).astype(np.uint8) % n for n in (16, 64))
    build_one = build(MIXERS, {"name": "cutmix"})
    mixed = build_one(first.with_fields(ring=few), second.with_fields(ring=many), np.random.default_rng(0))
    assert "ring" not in mixed
    assert "ring" in build_one(first.with_fields(ring=few), second.with_fields(ring=few), np.random.default_rng(0))


def test_nothing_is_pasted_into_something() -> None:
    az, z = np.meshgrid(np.arange(0, 2 * np.pi, 0.005), np.arange(-1.6, 1.5, 0.05))
    wall = np.column_stack([8 * np.cos(az.ravel()), 8 * np.sin(az.ravel()), z.ravel()])
    plan = np.stack(np.meshgrid(np.arange(-30, 30, 0.4), np.arange(-30, 30, 0.4)), axis=-1).reshape(-1, 2)
    ground = np.column_stack([plan, np.full(len(plan), -1.7)])
    label = np.repeat([TAXONOMY.id("building"), TAXONOMY.id("road")], [len(wall), len(ground)]).astype(np.uint16)
    closed = PointCloud(np.concatenate([wall, ground]), {"label": label}, TAXONOMY)
    y, zz = np.meshgrid(np.arange(-0.25, 0.25, 0.05), np.arange(-1.7, 0.1, 0.05))
    person = PointCloud(
        np.column_stack([np.full(y.size, 8.0), y.ravel(), zz.ravel()]),
        {"label": np.full(y.size, TAXONOMY.id("person"), np.uint16)},
        TAXONOMY,
    )
    opened = closed.take(label == TAXONOMY.id("road"))
    for host, number in ((opened, 1), (closed, 0)):
        assert PasteObjects(classes=("person",), number=1).apply(host, person, np.random.default_rng(0)).objects == number


def test_objects_of_two_native_classes_may_have_one_number() -> None:
    cloud = make_cloud(
        40,
        label=np.full(40, TAXONOMY.id("car"), np.uint16),
        instance=np.ones(40, np.int32),
        native_label=np.repeat([10, 252], 20).astype(np.int32),
    )
    assert sorted(len(rows) for _, rows in instances(cloud, "car")) == [20, 20]
