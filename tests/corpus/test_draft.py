"""A first card of a user's folder: written, edited as it asks, used."""

from __future__ import annotations

import re
from pathlib import Path

import laspy
import numpy as np
import pytest
from builders import make_cloud, run
from numpy.typing import NDArray

from pcaug import formats
from pcaug.corpus.card import load_card
from pcaug.corpus.convert import convert
from pcaug.corpus.draft import draft
from pcaug.corpus.read import Corpus
from pcaug.errors import NotFound, PcaugError, RecipeError

IDS = np.array([2, 2, 6, 64] * 25)
AROUND = np.array([[1, 0, 0, -5], [0, 1, 0, -5], [0, 0, 1, -5], [0, 0, 0, 1.0]])
"""Puts the origin into a cloud of 10 m, as a scanner's is."""
XYZ = np.random.default_rng(0).uniform(-40, 40, (100, 3))


def las(folder: Path) -> None:
    file = laspy.create(point_format=6, file_version="1.4")
    file.x, file.y, file.z = XYZ.T
    file.classification = IDS.astype(np.uint8)
    file.write(folder / "tile.laz")


def ply(folder: Path) -> None:
    formats.write(folder / "b.ply", make_cloud(100, labelled=False, kindof=IDS.astype(np.uint8)))


def text(folder: Path) -> None:
    table = np.column_stack([XYZ, np.arange(300).reshape(100, 3) % 256, XYZ[:, 0], IDS])
    np.savetxt(folder / "site a.txt", table, header="x and so on, by hand")


def headed(folder: Path) -> None:
    lines = [",".join(f"{v:g}" for v in (*p, i)) for p, i in zip(XYZ, IDS, strict=True)]
    (folder / "a.csv").write_text("X,Y,Z,class\n" + "\n".join(lines) + "\n")


def text_beside(folder: Path) -> None:
    np.savetxt(folder / "a.xyz", XYZ)
    (folder / "a.ids").write_text("".join(f"{i}\n" for i in IDS))
    (folder / "notes.txt").write_text("my notes\n")


def binary_apart(folder: Path, ids: NDArray[np.int64] = IDS) -> None:
    for name in ("scans", "marks"):
        (folder / name).mkdir()
    for stem in ("000", "001"):
        np.column_stack([XYZ, XYZ[:, 0]]).astype("<f4").tofile(folder / f"scans/{stem}.bin")
        (ids | 5 << 16).astype("<u4").tofile(folder / f"marks/{stem}.dat")


def array_beside(folder: Path) -> None:
    np.savetxt(folder / "a.xyz", np.repeat(XYZ, 20, axis=0))
    np.save(folder / "a.npy", np.repeat(IDS, 20)[:, None])


def text_with_points_beside(folder: Path) -> None:
    text_beside(folder)
    (folder / "a.ids").write_text("".join(f"{i}.0\n" for i in IDS))


def organised(folder: Path) -> None:
    """A scan with beams that met nothing, each of which has a label as well."""
    xyz, ids = np.insert(XYZ, [3, 50, 100], np.nan, axis=0), np.insert(IDS, [3, 50, 100], 9)
    head = "VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 103\nHEIGHT 1\nPOINTS 103\nDATA ascii\n"
    (folder / "a.pcd").write_text(head + "".join(f"{x:g} {y:g} {z:g}\n" for x, y, z in xyz))
    ids.astype("<u2").tofile(folder / "a.ids")


@pytest.mark.parametrize(
    "write", [las, ply, text, headed, text_beside, text_with_points_beside, binary_apart, array_beside, organised]
)
def test_a_first_card_is_edited_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], write: object
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "My Harbour"
    folder.mkdir()
    write(folder)  # type: ignore[operator]
    run(capsys, "datasets", "new", folder)
    card = tmp_path / "my-harbour.toml"
    with pytest.raises(RecipeError, match=r"no class 'TODO'.*or ignore"):
        load_card(card)
    card.write_text(card.read_text().replace('"TODO"', '"building"'))
    assert set(load_card(card).classes) == {"2", "6", "64"}
    convert(folder, tmp_path / "corpus", card)
    corpus = Corpus.open(tmp_path / "corpus")
    scans = {binary_apart: 2, array_beside: 20}.get(write, 1)  # type: ignore[call-overload]
    found = np.concatenate([cloud["native_label"] for cloud in corpus.clouds()])
    assert sorted(found.tolist()) == sorted(IDS.tolist() * scans)
    assert corpus.manifest.frame == ("sensor" if write is binary_apart else "map")


def test_a_column_that_never_changes_is_not_the_class(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    np.savetxt(
        tmp_path / "scans/a.xyz", np.column_stack([np.repeat(XYZ, 20, axis=0), np.repeat(IDS, 20), np.full(20 * len(IDS), 2)])
    )
    assert 'columns = ["x", "y", "z", "native_label", ""]' in draft(tmp_path / "scans")


def test_what_las_names_is_filled_in(tmp_path: Path) -> None:
    las(tmp_path)
    text = draft(tmp_path, "mine")
    assert '2 = { name = "ground", node = "ground" }  # 50 points' in text
    assert '64 = { name = "class-64", node = "TODO" }  # 25 points' in text
    assert "cards that know all these ids: fractal, lidarhd" in text


def test_another_card_names_the_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "town").mkdir()
    formats.write(tmp_path / "town/a.ply", make_cloud(100, labelled=False, classification=np.where(IDS == 64, 5, IDS)))
    assert re.search(r"cards that know all these ids: .*\blas,.*--classes-of CARD", draft(tmp_path / "town"))
    assert (
        "town.toml: correct sensor, frame and unit, check its classes, then pcaug convert"
        in run(capsys, "datasets", "new", "town", "--classes-of", "las")[0]
    )
    convert(tmp_path / "town", tmp_path / "corpus", tmp_path / "town.toml")
    assert Corpus.open(tmp_path / "corpus").counts() == {"ground": 50, "building": 25, "tree": 25}
    with pytest.raises(NotFound, match="lidarh"):
        draft(tmp_path / "town", classes_of="lidarh")


def test_columns_are_told_apart(tmp_path: Path) -> None:
    text(tmp_path)
    assert 'columns = ["x", "y", "z", "red", "green", "blue", "", "native_label"]' in draft(tmp_path)


def test_names_of_files_stay_in_comments(tmp_path: Path) -> None:
    folder = tmp_path / 'x"\n[evil]\nname = "y'
    folder.mkdir()
    las(folder)
    path = tmp_path / "mine.toml"
    path.write_text(draft(folder).replace('"TODO"', '"ignore"'))
    assert load_card(path).name == "x-evil-name-y"


def test_folders_without_scans_of_ones_own(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing to read"):
        draft(tmp_path)
    with pytest.raises(NotFound, match="no such folder"):
        draft(tmp_path / "not there")
    (tmp_path / "001/lidar").mkdir(parents=True)
    (tmp_path / "001/lidar/00.pkl.gz").write_bytes(b"")
    with pytest.raises(PcaugError, match="laid out as pandaset, whose card reads it"):
        draft(tmp_path)


def test_cards_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def shown(*arguments: str, code: int = 0) -> str:
        return "".join(run(capsys, "datasets", *arguments, code=code))

    lines = shown().splitlines()
    assert any(line.split()[:1] == ["pandaset"] and "spinning" in line and "CC BY 4.0" in line for line in lines)
    whole = shown("synthcity")
    assert all(word in whole for word in ("215,870,472", "not verified", "area3", "pole-like"))
    assert "# Datasets" in shown("--markdown")
    (tmp_path / "area1.parquet").write_bytes(b"another file")
    told = shown("synthcity", "--check", str(tmp_path), code=1)
    assert "differ from what was published: area1.parquet" in told
    assert told.count("missing") == 8


def test_nothing_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    las(tmp_path / "set")
    (tmp_path / "set.toml").write_text("mine")
    for arguments in (["new", "set"], ["new"], ["las", "set"]):
        _, err = run(capsys, "datasets", *arguments, code=1)
        assert err.count("\n") == 1
    assert (tmp_path / "set.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("names", "units"),
    [
        (["{}/lidar/0.ply", "{}/lidar/1.ply"], {"a", "b", "c"}),
        (["{}/0.ply", "{}/1.ply"], {"a", "b", "c"}),
        (["{}_0.ply", "{}_1.ply"], {"a_0", "a_1", "b_0", "b_1", "c_0", "c_1"}),
    ],
)
def test_scans_of_one_folder_stay_in_one_split(tmp_path: Path, names: list[str], units: set[str]) -> None:
    for drive in "abc":
        for name in names:
            ids = np.zeros(50, np.int32)
            formats.write(
                tmp_path / "drives" / name.format(drive), make_cloud(50, labelled=False, native_label=ids).moved(AROUND)
            )
    card = tmp_path / "drives.toml"
    card.write_text(draft(tmp_path / "drives").replace("TODO", "ground"))
    report = convert(tmp_path / "drives", tmp_path / "c", card=card, split="0.5/0.5")
    corpus = Corpus.open(tmp_path / "c")
    assert set(corpus.units) == units
    assert len({(tile.unit, tile.split) for tile in corpus.tiles}) == len(units)
    assert any("each of 6 scans is a unit of its own" in note for note in report.notes) == ("a_0" in units)
