"""What happens to points on their way from a source to its target: other ids, another CRS, fewer points, fewer classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from pcaug import catalogue
from pcaug.catalogue import Strict
from pcaug.cloud import Kind, PointCloud, concatenate, kind_of, with_heights_times
from pcaug.errors import FileError, LabelError, PcaugError, UnmappedLabels, check_whole
from pcaug.formats import las_header
from pcaug.formats.naming import skipped
from pcaug.labels import ClassSet, check_id, translated

PENDING = 1_000_000
"""Points that wait before they are sorted into voxels."""
KEYS = (1 << 21, 1 << 21, 1 << 20)
"""Cells along each axis that have a key of their own: 100 km of 5 cm along x and y."""


class IdMap(Strict):
    """A file that gives class ids new numbers, before any card is applied.

    Attributes:
        ids: Old id -> new id.
        other: What happens to an id that ``ids`` does not name: "error" or "keep".
    """

    ids: dict[Annotated[str, AfterValidator(check_id)], Annotated[int, Field(ge=-(2**31), lt=2**31)]]
    other: Literal["error", "keep"] = "error"

    def apply(self, native: NDArray[Any], where: str | None = None) -> NDArray[np.int32]:
        """New ids (N,) int32; raises UnmappedLabels with the counts of ids that the map does not name."""
        renumbered, unknown = translated(native, lambda old: self.ids.get(str(old)), None, np.int32)
        if unknown and self.other == "error":
            raise UnmappedLabels(unknown, where, 'add them to the [ids] of the --map file, or set other = "keep"')
        return renumbered


Corner = tuple[float, ...]


def box(numbers: Sequence[float]) -> tuple[Corner, Corner]:
    """The low and the high corner (x, y[, z]) that four or six numbers are; raises PcaugError where they are no box."""
    half = len(numbers) // 2
    if len(numbers) not in (4, 6) or not all(a < b for a, b in zip(numbers[:half], numbers[half:], strict=True)):
        raise PcaugError(f"{list(numbers)} is not a bounding box", do="give xmin, ymin, xmax, ymax")
    return tuple(numbers[:half]), tuple(numbers[half:])


@dataclass(frozen=True)
class Steps:
    """Steps, in this order; each is left out where it is None.

    Attributes:
        ids: New numbers for class ids.
        from_crs: CRS of sources that do not name one.
        crs: Target CRS: "EPSG:25832", WKT, ...
        bounds: (x, y[, z]) low and high corner; points outside are dropped. In the target's CRS: metres, or degrees where
            it counts in them.
        classes: Names of classes (with all below them) or native ids that are kept.
        every: Keep every n-th point of a scan.
        voxel: Edge of cells that keep one point each, metres: of those of the cell's majority label, the nearest to its centre,
            with all its fields.
        coarse: Classes that labels are made to; finer ones become theirs, coarser ones are ignored.
        unlabelled: True takes scans without class ids into a corpus, too: all of their points are ignored.
    """

    ids: IdMap | None = None
    from_crs: str | None = None
    crs: str | None = None
    bounds: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    classes: tuple[str, ...] | None = None
    every: int | None = None
    voxel: float | None = None
    coarse: ClassSet | None = None
    unlabelled: bool | None = None

    def __post_init__(self) -> None:
        check_whole(1, every=1 if self.every is None else self.every)
        if self.voxel is not None and not 0 < self.voxel < np.inf:
            raise PcaugError(f"voxels of {self.voxel:g} m cannot be made", do="give metres, such as 0.1")
        if self.bounds is not None:
            box([value for corner in self.bounds for value in corner])

    def __bool__(self) -> bool:
        return self != Steps()

    def about(self) -> dict[str, Any]:
        """As JSON: what a manifest says of them."""
        found = {key: value for key, value in vars(self).items() if value is not None}
        if self.ids:
            found["ids"] = self.ids.model_dump()
        if self.coarse:
            found["coarse"] = {group.name: list(group.nodes) for group in self.coarse.groups}
        return found

    def _counted_in(self, crs: str | None) -> Steps:
        """The same steps, which count in metres, for coordinates in a CRS; raises PcaugError for cells in degrees."""
        from pcaug.corpus.metres import crs_name, unit

        metres = unit(crs)
        if metres is None:
            if self.voxel:
                raise PcaugError(
                    "--voxel counts in metres, but the points in degrees", crs_name(crs), "thin first, then reproject"
                )
            return self
        low, high = self.bounds or ((), ())
        scaled = (tuple(value / metres for value in low), tuple(value / metres for value in high))
        return replace(self, bounds=scaled if self.bounds else None, voxel=self.voxel and self.voxel / metres)

    def prepare(self, cloud: PointCloud) -> PointCloud:
        """The steps that come before a card's: new ids, new CRS. Takes and returns a cloud as its file has it."""
        if self.ids and "native_label" in cloud:
            cloud = cloud.with_fields(native_label=self.ids.apply(cloud["native_label"], cloud.source.file))
        if self.from_crs and cloud.crs is None:
            cloud = replace(cloud, crs=self.from_crs)
        return reprojected(cloud, self.crs) if self.crs else cloud

    def apply(self, chunks: Iterable[PointCloud]) -> Iterator[PointCloud]:
        """The other steps, on the chunks of one scan, whatever its CRS counts in.

        Memory is constant, except for ``voxel``, which holds its result.
        """
        stream = iter(chunks)
        first = next(stream, None)
        if first is None:
            return
        steps = self._counted_in(first.crs)
        kept = steps._kept(chain([first], stream))
        del first  # which would stay as long as the stream does
        if steps.voxel is not None:
            kept = thinned(kept, steps.voxel)
        for cloud in kept:
            if self.coarse and "label" in cloud:
                cloud = cloud.with_fields(label=self.coarse.node(self.coarse.index(cloud["label"])))
            yield cloud

    def _kept(self, chunks: Iterable[PointCloud]) -> Iterator[PointCloud]:
        seen = 0
        for cloud in chunks:
            which = np.ones(len(cloud), np.bool_)
            if self.bounds is not None:
                low, high = (np.asarray(corner) for corner in self.bounds)
                inside = cloud.xyz[:, : len(low)]
                which &= ((inside >= low) & (inside <= high)).all(axis=1)
            if self.classes is not None:
                which &= _of_classes(cloud, self.classes)
            if self.every is not None:
                place = np.flatnonzero(which)
                dropped = place[(np.arange(len(place)) + seen) % self.every != 0]
                seen += len(place)
                which[dropped] = False
            if which.all():
                yield cloud
            elif which.any():
                yield cloud.take(which)


def nothing_left(target: Path) -> PcaugError:
    """The error of steps that drop every point."""
    return PcaugError("no points are left", target, "check --bounds and --classes against pcaug info")


def labels_of(cloud: PointCloud, do: str) -> NDArray[Any]:
    """Taxonomy nodes (N,) of a cloud; raises LabelError, which says what to ``do``, where it has none."""
    if "label" not in cloud:
        raise LabelError("has no labels in the taxonomy", cloud.source.file or None, do)
    return cloud["label"]


def _of_classes(cloud: PointCloud, classes: Sequence[str]) -> NDArray[np.bool_]:
    """Points of classes by name (and what stands below them), or by native id where they are numbers."""
    if all(name.lstrip("-").isdecimal() for name in classes):
        if "native_label" not in cloud:
            raise LabelError("has no class ids of its own", cloud.source.file or None, "name classes of the taxonomy")
        return np.isin(cloud["native_label"], [int(name) for name in classes])
    label = labels_of(cloud, "give --card so that its ids have names, or name ids")
    return np.isin(label, catalogue.taxonomy().subtree(*classes))


def reprojected(cloud: PointCloud, crs: str) -> PointCloud:
    """A cloud in another CRS, by PROJ: places in its fields move along, directions turn as the norths of the two grids differ.

    Heights follow the vertical parts of the two where both have one. Else they are only counted in another unit: a CRS without a
    vertical part counts them in the unit of its plan (see ``to_metres``). The file's own grid no longer holds. Between other
    than projected CRSs directions are left out, with a warning.

    Raises:
        FileError: Without a CRS, or where a position has no place in the target.
    """
    from pcaug.corpus.metres import height_unit, same_crs

    where = cloud.source.file or None
    if cloud.crs is None:
        raise FileError("has no CRS to reproject from", where, "name it with --from-crs EPSG:...")
    if same_crs(cloud.crs, crs):
        return cloud
    way = _transformer(cloud.crs, crs)
    both = all(len(one.axis_info) > 2 for one in (way.source_crs, way.target_crs))
    unit = height_unit(way.source_crs) / height_unit(way.target_crs)
    rise = 1.0 if both else unit  # PROJ passes other heights through

    def there(xyz: NDArray[Any]) -> NDArray[np.float64]:
        moved = np.stack(way.transform(*xyz.T.astype(np.float64)), axis=1) * (1, 1, rise)
        if not np.isfinite(moved).all():
            raise FileError(f"has points that {crs} has no place for", where, "check --crs and --from-crs")
        return moved

    xyz, fields = there(cloud.xyz), dict(cloud.fields)
    for name, values in cloud.fields.items():
        kind = kind_of(name, values)
        if kind is Kind.POSITION:
            fields[name] = there(values)
        elif kind is Kind.DIRECTION and way.source_crs.is_projected and way.target_crs.is_projected:
            fields[name] = _turned(values, there(cloud.xyz + (1, 0, 0)) - xyz)
        elif kind is Kind.DIRECTION:
            skipped(f"field {name!r}, whose directions have no meaning in degrees,", Path(cloud.source.file))
            del fields[name]
    source = replace(cloud.source, encoding=las_header.elsewhere(cloud.source.encoding))
    return with_heights_times(replace(cloud, xyz=xyz, fields=fields, crs=way.target_crs.to_wkt(), source=source), unit)


def _turned(vectors: NDArray[Any], east: NDArray[np.float64]) -> NDArray[Any]:
    """Vectors (N, 3) turned about z by where each point's old east (N, 3) points now."""
    cos, sin = east[:, :2].T / np.hypot(*east[:, :2].T)
    x, y, z = vectors.T
    return np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=1).astype(vectors.dtype)


@lru_cache(maxsize=16)
def _transformer(old: str, new: str) -> Any:
    from pyproj import Transformer
    from pyproj.exceptions import CRSError, ProjError

    try:
        return Transformer.from_crs(old, new, always_xy=True)
    except (CRSError, ProjError) as error:
        raise PcaugError(f"cannot transform from {old[:40]!r} to {new[:40]!r} ({error})", do="name CRSs as EPSG:25832") from None


def thinned(chunks: Iterable[PointCloud], size: float) -> Iterator[PointCloud]:
    """One real point for each cell of ``size`` metres: of those of its majority label, the nearest to its centre.

    Ties go to the lower label, then to the earlier point. Memory is that of the result, not of the source.
    """
    state: _Cells | None = None
    waiting: list[_Cells] = []
    for cloud in chunks:
        waiting.append(_Cells.of(cloud, size))
        held = sum(len(cells.key) for cells in waiting)
        if held > max(PENDING, len(state.key) if state else 0):
            state, waiting = _Cells.joined([*([state] if state else []), *waiting], size), []
    if state or waiting:
        yield _Cells.joined([*([state] if state else []), *waiting], size).majority()


@dataclass(frozen=True)
class _Cells:
    """Of each cell and label: how many points, and the one nearest to the cell's centre."""

    cloud: PointCloud
    key: NDArray[np.int64]
    label: NDArray[np.int64]
    count: NDArray[np.int64]
    off: NDArray[np.float64]

    @classmethod
    def of(cls, cloud: PointCloud, size: float) -> _Cells:
        cell = np.floor(cloud.xyz / size)
        if len(cell) and np.abs(cell).max() * 4 > 1 << 62:
            raise PcaugError(f"coordinates are too large for cells of {size:g} m", cloud.source.file or None, "check their unit")
        off = ((cloud.xyz / size - cell - 0.5) ** 2).sum(axis=1)
        whole = cell.astype(np.int64)
        key = ((whole[:, 0] & 0x1FFFFF) << 41) | ((whole[:, 1] & 0x1FFFFF) << 20) | (whole[:, 2] & 0xFFFFF)
        name = next((n for n in ("label", "native_label") if n in cloud), None)
        label = cloud[name].astype(np.int64) if name else np.zeros(len(cloud), np.int64)
        return cls(cloud, key, label, np.ones(len(cloud), np.int64), off)

    @classmethod
    def joined(cls, parts: Sequence[_Cells], size: float) -> _Cells:
        key, label, count, off = (np.concatenate([getattr(p, name) for p in parts]) for name in ("key", "label", "count", "off"))
        cloud = concatenate([p.cloud for p in parts])
        if len(cloud) and (np.ptp(np.floor(cloud.xyz / size), axis=0) >= KEYS).any():
            what = f"cells of {size:g} m are too small for points that lie {np.ptp(cloud.xyz, axis=0).max():g} m apart"
            raise PcaugError(what, cloud.source.file or None, "take larger ones, or parts of it (--bounds)")
        order = np.lexsort((off, label, key))
        first = np.flatnonzero((np.diff(key[order], prepend=-1) != 0) | (np.diff(label[order], prepend=-1) != 0))
        counts = np.add.reduceat(count[order], first) if len(first) else count
        best = order[first]
        return cls(cloud.take(best), key[best], label[best], counts, off[best])

    def majority(self) -> PointCloud:
        order = np.lexsort((self.label, -self.count, self.key))
        return self.cloud.take(order[np.diff(self.key[order], prepend=-1) != 0])


def load_id_map(path: str | Path) -> IdMap:
    """A map of class ids from a TOML file; raises NotFound, RecipeError."""
    return catalogue.load(Path(path), IdMap)
