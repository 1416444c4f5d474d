"""Square cells of the plan: which points lie in which, without sorting more than whole numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pcaug.errors import PcaugError

Cell = tuple[int, int]


def by_cell(xyz: NDArray[np.float64], size: float) -> Iterator[tuple[Cell, NDArray[np.int64]]]:
    """Group points by cell.

    Args:
        xyz: (N, 3) or (N, 2) positions, metres.
        size: Edge of a cell, metres. Cell (i, j) reaches from (i, j) * size to (i + 1, j + 1) * size, its upper edges left out.

    Yields:
        Column and row of each cell that holds points, ascending, and the indices of its points, ascending.

    Raises:
        PcaugError: If the points spread over more cells than 62 bits can number.
    """
    if not len(xyz):
        return
    cells = np.floor(xyz[:, :2] / size).astype(np.int64)
    low = cells.min(axis=0)
    columns, rows = (int(n) + 1 for n in cells.max(axis=0) - low)
    if columns * rows >= 1 << 62:
        raise PcaugError(
            f"points spread over {columns} x {rows} cells of {size:g} m", do="check their unit, or take larger cells"
        )
    code = (cells[:, 0] - low[0]) * rows + (cells[:, 1] - low[1])
    if columns * rows <= 1 << 16:
        code = code.astype(np.uint16)  # numpy sorts 16 bits by radix, ten times as fast
    order = np.argsort(code, kind="stable")
    for which in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
        column, row = cells[which[0]].tolist()
        yield (column, row), which
