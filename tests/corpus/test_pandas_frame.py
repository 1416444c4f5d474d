"""Pickled tables: what real and old pandas wrote is read, what a pickle wants to run is not."""

from __future__ import annotations

import base64
import gzip
import io
import os
import pickle  # noqa: TID251  # a test writes what readers must not load
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders_pandas import write_frame

from pcaug.corpus.layouts.pandas_frame import read_frame
from pcaug.errors import FileError

REAL = {  # a table of class 5 13 41, x 0.5 -1.5 2.25, d 0 1 0, as written by
    "pandas 2.2.3, protocol 5": (
        "H4sIAAAAAAACA21STWvcMBBde9f9SvoNaXLJeXMxLb3kUEhpSqFxu4Xcg5BteW0iy0aSSQINtIdsE5hbp/k7/Sv9Gb21I3lDdkME1oxkzbx58+Zb9Gtv"
        "OPALnrZc5dzEWaNFXGheC4T777nlH7z/E7e+4ymOYcTqqUbYXHxeKSu04tLENVd8KrRBWH0nm+zwc3+mcFibRzBZpeY6BOEx61RbZYdSsNTFuMfPVVe3"
        "JzHz6ckXusoQVlihmzrtisKnHF++7IsfRHP7cG63BssruHFGiDwA2dyetI4ehNU2Xpz/wH0cJ0MI3uBkMtn7R8tvycBimoTJcIYQ7KKlZ3Av7SppK0Uc"
        "IiOrzKVJBskoCV2Wfi9Xykfjy/Ul9D87vf37u7fhWyyfQVgs4Jdrt6AHDr3ccNjlJp3CJLgGmuEBqbO+LEsujoWJU25IzAdMiSP20d1RneUriK58L2tO"
        "UpNIi32vO2LHtebUp1WmRdYoY3WXWRf/BO4Skv/pWJ/hbpBiXz3VeeYZfVnq6NcbHd0hTheu6CiT3FATg2P6chR0DyPlpm7SzRzZ17BxGy/N1dQR23d2"
        "gUz5aUKCWK4tFQYjY5sWqQByBDmBzyncRsNM6tOcO/JXM89qYbnvxgHpyq2laT5FuMMKyafefcGlbI4My7uWVOdWMMlTQaN8bro0/g9H+0a4VQMAAA=="
    ),
    "pandas 1.5.3, protocol 2": (
        "H4sIAAAAAAACA3VTW1MTMRTetoCyindFxfu1eKngtSoKIqKwUjTe9oXJZLehu8N222+THWDGzugDLfwLf4ZvzugP0yRbdEDNQ845yTkn35d8+ZT3myyu"
        "MlHyGwkvLSaszu0pJtm08WANf0auhXzR7bEsi9ZrCQpbKsJY8iRmkSjVWcxqPBH2ZNTwl+ayyEbPZjqNQk/8ybdpGjdDfyni1NMFNnr9OK03V7O+9TSS"
        "IUsStmrThPuNWMgk9aWNvizLVj3NLnY41hp2+tRvVLkvbB5rx0a/m1OIPdhun7IRk2E8il1t7CYY6GAPwd6ik3PyTqGNfd2WVbnaVJX73byqCMs4sLHe"
        "wUGCQ0WnYLqN4XClUpn9qYaZHEviiLcR9LsjarfXysZA1w5bW0duW4zBQOE5SnBM4rjnU+qloSIdU2qLKPQVkiHHcnqcfAcnCE5qe4rgdNAb9AWG9JlA"
        "MTlLcE4zyWkm54MM/GIZFzT4iwSXFPjgb9iXDeyh32B+fBnvOl+/f8u8/ASKGuEwwRWJq14wZC4s18E1gusaTongRhsjCxgtbhNFla9wUfKY4DaN+TKd"
        "0Ss2bv4/rZtxq4XbmdiqSoW4s8n1ruZ6j6CsuRbWcL/LdL6MB5rpQ4KxzWf6iEdb+Y5LPPY2FjBedPUj+RETAhMmdwVPjK1ikks89czRsdI+pippG88I"
        "poN/o05YXOM20XMX+/MWXhSDqYo5REiWSMw4lukoZKOJWYUvC3gTjpNT/V8SzPE2KgTz2Q9TEsQrt7/L3/xHvDYxrXPJzKWQBbwxZzApE4G3LbwzIqeL"
        "EasJvG/hgzuot6OosSxoNW0qOTHJacQ8Hgm46yL1Sr8A76rLBvsDAAA="
    ),
}


@pytest.mark.parametrize("name", REAL)
def test_what_real_pandas_wrote_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "table.pkl.gz"
    path.write_bytes(base64.b64decode(REAL[name]))
    table = read_frame(path)
    assert list(table) == ["class", "x", "d"]
    assert {key: values.tolist() for key, values in table.items()} == {
        "class": [5, 13, 41],
        "x": [0.5, -1.5, 2.25],
        "d": [0, 1, 0],
    }


@pytest.mark.parametrize("old", [True, False], ids=["0.25", "1.3"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_old_layouts_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int, old: bool) -> None:
    rng = np.random.default_rng(protocol)
    columns = {
        "x": rng.random(9), "i": rng.integers(0, 9, 9), "y": rng.random(9), "f": rng.random(9).astype("f4"),
        "b": rng.random(9) > 0.5, "z": rng.random(9), "u": rng.integers(0, 9, 9).astype("u1"),
    }  # fmt: skip
    write_frame(tmp_path / "t.pkl.gz", columns, monkeypatch, protocol=protocol, old=old)
    table = read_frame(tmp_path / "t.pkl.gz")
    assert list(table) == list(columns)
    for name, values in columns.items():
        assert table[name].dtype == values.dtype
        np.testing.assert_array_equal(table[name], values)


def test_without_compression_too(tmp_path: Path) -> None:
    path = tmp_path / "table.pkl"
    path.write_bytes(gzip.decompress(base64.b64decode(REAL["pandas 2.2.3, protocol 5"])))
    assert read_frame(path)["class"].tolist() == [5, 13, 41]


def test_cut_anywhere_it_says_so(tmp_path: Path) -> None:
    whole = gzip.decompress(base64.b64decode(REAL["pandas 2.2.3, protocol 5"]))
    path = tmp_path / "table.pkl"
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(FileError):
            read_frame(path)
    packed = base64.b64decode(REAL["pandas 2.2.3, protocol 5"])
    for end in range(2, len(packed), 7):
        path.write_bytes(packed[:end])
        with pytest.raises(FileError):
            read_frame(path)


def test_any_byte_may_be_wrong(tmp_path: Path) -> None:
    whole = bytearray(gzip.decompress(base64.b64decode(REAL["pandas 1.5.3, protocol 2"])))
    rng = np.random.default_rng(0)
    path = tmp_path / "table.pkl"
    for at in rng.integers(0, len(whole), 700):
        broken = bytearray(whole)
        broken[at] = rng.integers(256)
        path.write_bytes(broken)
        with suppress(FileError):
            assert all(len(values) < 1000 for values in read_frame(path).values())


class Runs:
    """Pickles into a call."""

    def __init__(self, call: Any, *args: Any) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> Any:
        return self.call, self.args


MARK = "ran.txt"
HOSTILE = {
    "os.system": lambda: pickle.dumps(Runs(os.system, f"touch {MARK}")),
    "eval": lambda: pickle.dumps(Runs(eval, f"open({MARK!r}, 'w')"), protocol=2),
    "exec, protocol 0": lambda: pickle.dumps(Runs(exec, f"open({MARK!r}, 'w')"), protocol=0),
    "getattr": lambda: pickle.dumps(Runs(getattr, Runs(__import__, "os"), "system")),
    "hidden in a column": lambda: pickle.dumps({"state": [Runs(os.mkdir, MARK)]}),
    "numpy's own loader": lambda: b"\x80\x02cnumpy\nload\n(U\x07ran.txttR.",
    "a path through an allowed module": lambda: b"\x80\x04\x8c\x0epandas.io.common\x94\x8c\x07os.path\x94\x93.",
    "an allowed name of another module": lambda: b"\x80\x02cposix\nslice\n.",
    "INST": lambda: b"(S'touch ran.txt'\nios\nsystem\n.",
    "OBJ": lambda: b"(cos\nsystem\nS'touch ran.txt'\no.",
    "EXT1": lambda: b"\x80\x02\x82\x01.",
    "PERSID": lambda: b"Pwhatever\n.",
    "copyreg": lambda: b"\x80\x02ccopyreg\n_reconstructor\n(cos\nsystem\nc__builtin__\nobject\nNtR.",
    "BUILD on a name": lambda: b"\x80\x02cnumpy\nndarray\n}U\x0b__setstate__cos\nsystem\nsb.",
    "a call of a value": lambda: b"\x80\x02U\x01a)R.",
    "an empty stack": lambda: b"\x80\x02R.",
    "a memo that is not there": lambda: b"\x80\x02h\x07.",
    "no pickle": lambda: b"scan",
    "nothing": lambda: b"",
    "a list": lambda: pickle.dumps([1, 2]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("frame.pkl").write_bytes(HOSTILE[name]())
    with pytest.raises(FileError):
        read_frame(Path("frame.pkl"))
    assert [path.name for path in tmp_path.iterdir()] == ["frame.pkl"]


BOMBS = {
    "lists of lists, 2 ** 60 leaves": b"\x80\x02](K\x01e" + b"q\x00](h\x00h\x00e" * 60 + b".",
    "sixteen exabytes": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "four gigabytes": b"\x80\x03B\xff\xff\xff\xffabc.",
    "a long number": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "deep": b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_go_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "frame.pkl").write_bytes(BOMBS[name])
    with pytest.raises(FileError):  # 2 ** 60 steps would take longer than the universe
        read_frame(tmp_path / "frame.pkl")


def test_what_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcaug.corpus.layouts.pandas_frame.LIMIT", 1 << 20)
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb") as file:
        file.write(bytes(1 << 22))
    (tmp_path / "frame.pkl.gz").write_bytes(stream.getvalue())
    with pytest.raises(FileError, match="unpacks to more than"):
        read_frame(tmp_path / "frame.pkl.gz")


def test_shapes_are_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_frame(tmp_path / "t.pkl.gz", {"x": np.arange(200.0)}, monkeypatch)
    data = gzip.decompress((tmp_path / "t.pkl.gz").read_bytes())
    assert data.count(b"K\xc8") >= 1  # BININT1 200: the length in the block's shape
    (tmp_path / "t.pkl").write_bytes(data.replace(b"K\xc8", b"J\xff\xff\xff\x7f"))
    with pytest.raises(FileError):
        read_frame(tmp_path / "t.pkl")
