"""Write DataFrames as pickles in the ways of old and new pandas, without pandas: stand-ins of its classes, pickled by name."""

from __future__ import annotations

import gzip
import pickle  # noqa: TID251  # a test writes what readers must not load
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


def write_frame(
    path: Path, columns: dict[str, NDArray[Any]], monkeypatch: pytest.MonkeyPatch, *, protocol: int = 3, old: bool = True
) -> None:
    """Write ``.pkl.gz`` as pandas 0.25 (``old``) or 1.3 and later do."""
    with monkeypatch.context() as patch:
        _install(patch)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(pickle.dumps(_frame(columns, old=old), protocol=protocol)))


def _install(patch: pytest.MonkeyPatch) -> None:
    for name in ("pandas", "pandas.core", "pandas.core.frame", "pandas.core.internals", "pandas.core.internals.managers",
                 "pandas.core.indexes", "pandas.core.indexes.base", "pandas._libs", "pandas._libs.internals"):  # fmt: skip
        patch.setitem(sys.modules, name, ModuleType(name))
    for module, name, thing in (
        ("pandas.core.frame", "DataFrame", DataFrame),
        ("pandas.core.internals.managers", "BlockManager", BlockManager),
        ("pandas.core.indexes.base", "_new_Index", _new_Index),
        ("pandas.core.indexes.base", "Index", Index),
        ("pandas._libs.internals", "_unpickle_block", _unpickle_block),
    ):
        patch.setattr(thing, "__module__", module)
        patch.setattr(sys.modules[module], name, thing, raising=False)


class DataFrame:
    pass


class Index:
    def __init__(self, names: list[str]) -> None:
        self.names = names

    def __reduce__(self) -> Any:
        return _new_Index, (Index, {"data": np.array(self.names, object), "name": None})


class BlockManager:
    state: Any = None

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __reduce__(self) -> Any:
        return (BlockManager, (), self.state) if self.state else (BlockManager, self.args)

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("nobody may load this")


class Block:
    def __init__(self, values: Any, places: Any) -> None:
        self.values, self.places = values, places

    def __reduce__(self) -> Any:
        return _unpickle_block, (self.values, self.places, 2)


def _new_Index(kind: Any, state: Any) -> Any:
    raise AssertionError("nobody may load this")


def _unpickle_block(values: Any, places: Any, ndim: int) -> Any:
    raise AssertionError("nobody may load this")


def _frame(columns: dict[str, NDArray[Any]], *, old: bool) -> DataFrame:
    names = list(columns)
    kinds = sorted({values.dtype.str for values in columns.values()})
    blocks = []
    for kind in kinds:
        places = [i for i, name in enumerate(names) if columns[name].dtype.str == kind]
        table = np.stack([columns[names[i]] for i in places])
        whole = places == list(range(places[0], places[-1] + 1))
        blocks.append((table, slice(places[0], places[-1] + 1, 1) if whole else np.array(places)))
    axes = [Index(names), Index([str(i) for i in range(len(columns[names[0]]))])]
    if old:
        manager = BlockManager()
        state = {"axes": axes, "blocks": [{"values": values, "mgr_locs": places} for values, places in blocks]}
        manager.state = (axes, [values for values, _ in blocks], [axes[0]] * len(blocks), {"0.14.1": state})
    else:
        manager = BlockManager(tuple(Block(values, places) for values, places in blocks), axes)
    frame = DataFrame()
    frame.__dict__ = {"_data" if old else "_mgr": manager, "_typ": "dataframe", "_metadata": [], "attrs": {}}
    return frame
