"""Square cells of the plan: which points lie in which, without sorting more than whole numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pcaug.errors import PcaugError

Cell = tuple[int, int]


def numbered(xyz: NDArray[np.floating], size: float) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Number the cells of points: column by column, row by row.

    Args:
        xyz: (N, 3) or (N, 2) positions, metres.
        size: Edge of a cell, metres. Cell (i, j) reaches from (i, j) * size to (i + 1, j + 1) * size, its upper edges left out.

    Returns:
        The number (N,) of each point's cell, the first column and row (2,), and the number of rows: cell (i, j) has the number
        (i - first column) * rows + j - first row.

    Raises:
        PcaugError: If the points spread over more cells than 62 bits can number.
    """
    if not len(xyz):
        return np.zeros(0, np.int64), np.zeros(2, np.int64), 1
    cells = np.floor(xyz[:, :2] / size).astype(np.int64)
    low = cells.min(axis=0)
    columns, rows = (int(n) + 1 for n in cells.max(axis=0) - low)
    if columns * rows >= 1 << 62:
        raise PcaugError(
            f"points spread over {columns} x {rows} cells of {size:g} m", do="check their unit, or take larger cells"
        )
    return (cells[:, 0] - low[0]) * rows + (cells[:, 1] - low[1]), low, rows


def own_cells(xyz: NDArray[np.floating], size: float) -> NDArray[np.int64]:
    """Number (N,) of each point's cell in a grid that starts at the lowest corner of the points (one or more)."""
    return numbered(xyz[:, :2] - xyz[:, :2].min(axis=0), size)[0]


def by_cell(xyz: NDArray[np.float64], size: float) -> Iterator[tuple[Cell, NDArray[np.int64]]]:
    """Group points by cell.

    Args:
        xyz: (N, 3) or (N, 2) positions, metres.
        size: Edge of a cell, metres, as of ``numbered``.

    Yields:
        Column and row of each cell that holds points, ascending, and the indices of its points, ascending.

    Raises:
        PcaugError: If the points spread over more cells than 62 bits can number.
    """
    if not len(xyz):
        return
    number, low, rows = numbered(xyz, size)
    code = number.astype(np.uint16) if number.max() < 1 << 16 else number  # numpy sorts 16 bits by radix, ten times as fast
    order = np.argsort(code, kind="stable")
    for which in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
        column, row = divmod(int(number[which[0]]), rows)
        yield (column + int(low[0]), row + int(low[1])), which
