"""Class trees, maps from native ids into them, and the classes that several datasets can share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.errors import LabelError, NotFound, UnmappedLabels

IGNORE = 255
"""Node id of points that belong to no class: never trained on, never scored."""

Labels = NDArray[np.uint16]


def check_id(key: str) -> str:
    """A class id as a key of a file; raises ValueError where it is no whole number of 32 bits, or not written plainly (01)."""
    if not re.fullmatch(r"0|-?[1-9]\d{0,9}", key) or not -(2**31) <= int(key) < 2**31:
        raise ValueError(f"class id {key[:20]!r} is not a whole number of 32 bits")
    return key


def tally(ids: NDArray[np.integer]) -> Counter[int]:
    """Points per id of an array of ids (N,), in order of ids."""
    values, counts = np.unique(ids, return_counts=True)
    return Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def translated(
    ids: NDArray[np.integer], new: Callable[[int], int | None], other: int | None, dtype: type[np.integer]
) -> tuple[NDArray[Any], dict[int, int]]:
    """Ids (N,) by a table, and the count of every id that the table gives None for.

    Those become ``other``, or stay as they are where that is None.
    """
    values, inverse, counts = np.unique(ids, return_inverse=True, return_counts=True)
    found = [(int(value), new(int(value))) for value in values]
    unknown = {value: int(count) for (value, to), count in zip(found, counts, strict=True) if to is None}
    table = np.array([to if to is not None else value if other is None else other for value, to in found], dtype)
    return table[inverse.reshape(ids.shape)], unknown


@dataclass(frozen=True)
class Node:
    """One class of a taxonomy; ``parent`` is None for a child of the root."""

    id: int
    name: str
    parent: int | None
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class Group:
    """A class to train on: a name and the taxonomy nodes (with all below them) that it stands for."""

    name: str
    nodes: tuple[int, ...]
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class Taxonomy:
    """A strict tree of classes.

    Attributes:
        name: Name and version; stored with every corpus.
        nodes: All nodes by id.
        presets: Named working label sets: preset name -> class name -> node ids.
    """

    name: str
    nodes: Mapping[int, Node]
    presets: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> dict[str, int]:
        """Node ids by name, the ignore node among them."""
        return {node.name: node.id for node in self.nodes.values()} | {"ignore": IGNORE}

    def id(self, name: str) -> int:
        """Node id of a name; raises NotFound with the nearest names."""
        from difflib import get_close_matches

        if name in self.by_name:
            return self.by_name[name]
        near = get_close_matches(name, self.by_name, n=3)
        raise NotFound(f"no class {name!r} in taxonomy {self.name}", do=f"did you mean {' or '.join(near)}?" if near else None)

    def label_name(self, node: int) -> str:
        """Name of a node id ("ignore" for 255); raises NotFound."""
        if node != IGNORE and node not in self.nodes:
            raise NotFound(f"no class {node} in taxonomy {self.name}", do="a dataset's own ids are native labels: map them first")
        return "ignore" if node == IGNORE else self.nodes[node].name

    def check(self, labels: NDArray[np.integer], where: str | Path | None = None) -> None:
        """Raise LabelError unless each of labels (N,) is a node's id, or "ignore"."""
        strange = sorted(set(tally(labels)) - self.nodes.keys() - {IGNORE})
        if strange:
            what = f"has labels that are no classes of {self.name}: {', '.join(map(str, strange[:5]))}"
            raise LabelError(what, where, "a dataset's own ids go into 'native_label'")

    def colour(self, node: int) -> tuple[int, int, int]:
        """Display colour (R, G, B), 0-255, of a node id."""
        return (0, 0, 0) if node == IGNORE else self.nodes[node].colour

    def ancestors(self, node: int) -> tuple[int, ...]:
        """The node itself and every node above it, deepest first."""
        path = []
        here: int | None = node
        while here is not None:
            path.append(here)
            here = self.nodes[here].parent
        return tuple(path)

    def covers(self, upper: int, lower: int) -> bool:
        """Whether ``lower`` is ``upper`` or stands below it."""
        return lower in self.nodes and upper in self.ancestors(lower)

    def subtree(self, *names: str) -> list[int]:
        """Node ids of classes by name and of all below them; raises NotFound."""
        uppers = [self.id(name) for name in names]
        return [n for n in (*self.nodes, IGNORE) if n in uppers or any(self.covers(upper, n) for upper in uppers)]

    def leaves(self) -> tuple[int, ...]:
        """Ids of nodes without children."""
        parents = {node.parent for node in self.nodes.values()}
        return tuple(sorted(i for i in self.nodes if i not in parents))

    def counts(self, labels: NDArray[np.integer]) -> dict[str, int]:
        """Points per class name of an array of node ids, in order of ids, absent classes left out."""
        return {self.label_name(node): number for node, number in tally(labels).items()}

    def preset(self, name: str) -> tuple[Group, ...]:
        """The classes of a named preset, in its order; raises NotFound."""
        if name not in self.presets:
            raise NotFound(f"no preset {name!r} in taxonomy {self.name}", do=f"choose from {', '.join(self.presets)}")
        return tuple(Group(key, nodes, self.colour(nodes[0])) for key, nodes in self.presets[name].items())


@dataclass(frozen=True)
class LabelMap:
    """A one-way map from a dataset's native ids to taxonomy nodes.

    Attributes:
        taxonomy: The tree of the targets.
        nodes: Native id -> node id; 255 where the class is known and wanted by nobody.
        minor: Native ids whose class is small or fuzzy: it does not coarsen a common cut, and is
            ignored where the cut is finer than its node.
        names: Native id -> the dataset's own name of it.
    """

    taxonomy: Taxonomy
    nodes: Mapping[int, int]
    minor: frozenset[int] = frozenset()
    names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for native, node in self.nodes.items():
            if node != IGNORE and node not in self.taxonomy.nodes:
                raise LabelError(f"class {native} maps to node {node}", self.taxonomy.name, "which the taxonomy does not have")

    def apply(self, native: NDArray[np.integer], where: str | Path | None = None, *, strict: bool = True) -> Labels:
        """Map native ids (N,) to node ids (N,) uint16; those that it does not know to 255 unless ``strict``.

        Raises:
            UnmappedLabels: With the count of every id that the map does not know.
            LabelError: If they are no whole numbers.
        """
        if native.dtype.kind not in "iub":
            raise LabelError(f"class ids are {native.dtype}, not whole numbers", where)
        mapped, unknown = translated(native, self.nodes.get, IGNORE, np.uint16)
        if unknown and strict:
            raise UnmappedLabels(unknown, where)
        return mapped

    def knows(self, native: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which of native ids (N,) the map has."""
        known: NDArray[np.bool_] = np.isin(native, list(self.nodes))
        return known

    def used(self) -> set[int]:
        """Nodes that the dataset can label, minor ones left out."""
        return {node for native, node in self.nodes.items() if native not in self.minor and node != IGNORE}


def common_cut(taxonomy: Taxonomy, used: Iterable[set[int]]) -> tuple[int, ...]:
    """Find the finest classes that several datasets can be labelled with alike.

    For each leaf, the highest node on its path to the root that any dataset uses is its class; a leaf
    below which or at which nothing is used is dropped. The result is an antichain.

    Args:
        taxonomy: The class tree.
        used: For each dataset its nodes (``LabelMap.used``).

    Returns:
        Node ids, ascending.
    """
    union = set().union(*used)
    cut = set()
    for leaf in taxonomy.leaves():
        on_path = [node for node in taxonomy.ancestors(leaf) if node in union]
        if on_path:
            cut.add(on_path[-1])
    return tuple(sorted(cut))


def cut_shares(taxonomy: Taxonomy, cut: Iterable[int], used: Iterable[set[int]]) -> tuple[set[int], set[int]]:
    """Split the classes of a cut into those that every dataset can label and those that only some can."""
    sets = list(used)
    shared = {c for c in cut if all(any(taxonomy.covers(c, node) for node in nodes) for nodes in sets)}
    return shared, set(cut) - shared


@dataclass(frozen=True)
class ClassSet:
    """The classes that a model learns: groups of nodes, indexed 0..K-1.

    Attributes:
        taxonomy: The tree that the nodes belong to.
        groups: The classes in order; no node is covered by two of them unless one group names it itself.
    """

    taxonomy: Taxonomy
    groups: tuple[Group, ...]

    @classmethod
    def of_cut(cls, taxonomy: Taxonomy, cut: Iterable[int]) -> ClassSet:
        """One class per node of a common cut."""
        return cls(taxonomy, tuple(Group(taxonomy.label_name(n), (n,), taxonomy.colour(n)) for n in cut))

    @property
    def names(self) -> list[str]:
        """Class names in order."""
        return [group.name for group in self.groups]

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        table = np.full(max(*self.taxonomy.nodes, IGNORE) + 1, IGNORE, dtype=np.uint8)
        owner = {node: index for index, group in enumerate(self.groups) for node in group.nodes}
        for node in self.taxonomy.nodes:
            for upper in self.taxonomy.ancestors(node):  # the deepest named ancestor wins
                if upper in owner:
                    table[node] = owner[upper]
                    break
        return table

    def index(self, labels: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Map node ids (N,) to class indices (N,) uint8; 255 where a label is coarser than any class or ignored.

        Raises:
            LabelError: For what is no id of a node.
        """
        labels = np.asarray(labels)
        if len(labels) and (labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= len(self._table)):
            raise LabelError(f"labels of type {labels.dtype} are not all nodes of {self.taxonomy.name}")
        result: NDArray[np.uint8] = self._table[labels]
        return result

    def node(self, index: NDArray[np.integer]) -> Labels:
        """Map class indices (N,) back to the first node of each class, (N,) uint16; IGNORE stays IGNORE."""
        table = np.array([*(group.nodes[0] for group in self.groups), IGNORE], np.uint16)
        nodes: Labels = table[np.where(index == IGNORE, len(self.groups), index)]
        return nodes
