"""Class ids that a dataset explains by names of its own: the names decide, as several numberings are in use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.errors import LabelError


def by_name(values: NDArray[Any], names: Mapping[int, str], ids: Mapping[str, int], path: Path) -> NDArray[np.int32]:
    """Turn ids of a file into the card's ids.

    Args:
        values: (N,) ids as stored.
        names: What the dataset's own table calls them.
        ids: The card's class names and their ids; spelling of upper and lower case does not matter.
        path: Of the file, for errors.

    Raises:
        LabelError: For ids without a name, and names that the card does not have.
    """
    known = {name.lower(): number for name, number in ids.items()}
    present, where = np.unique(values, return_inverse=True)
    nameless = [int(value) for value in present if int(value) not in names]
    if nameless:
        raise LabelError(f"has ids {nameless[:8]} that the dataset's own table does not name", path, "get the table again")
    strange = sorted({names[int(value)] for value in present} - {n for n in names.values() if n.lower() in known})
    if strange:
        raise LabelError(f"has classes {strange[:8]} that the card does not have", path, "add them to a card of your own")
    return np.array([known[names[int(value)].lower()] for value in present], np.int32)[where].reshape(-1)
