"""Builders of small clouds and checks that tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pcaug import catalogue
from pcaug.cloud import PointCloud, Source


def make_cloud(n: int = 50, *, seed: int = 0, size: float = 10.0, labelled: bool = True, **fields: Any) -> PointCloud:
    """A random labelled cloud with intensity; further fields as given."""
    rng = np.random.default_rng(seed)
    values: dict[str, Any] = {"intensity": rng.random(n).astype(np.float32)}
    if labelled:
        values["label"] = rng.choice([0, 1, 2, 5, 7, 21], n).astype(np.uint16)
    taxonomy = catalogue.taxonomy() if labelled else None
    return PointCloud(rng.uniform(0, size, (n, 3)), values | fields, taxonomy, source=Source(dataset="made", file="made"))


def run(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> tuple[str, str]:
    """What ``pcaug WORDS`` prints to stdout and stderr; fails the test where it ends with another exit code."""
    from pcaug.cli.app import main

    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    printed = capsys.readouterr()
    assert (ended.value.code or 0) == code, printed.err
    return printed.out, printed.err


def assert_same_cloud(a: PointCloud, b: PointCloud, *, atol: float = 0.0) -> None:
    """Two clouds hold the same points in the same order with the same fields and dtypes."""
    assert len(a) == len(b)
    np.testing.assert_allclose(a.xyz, b.xyz, rtol=0, atol=atol)
    assert set(a.fields) == set(b.fields)
    for name in a.fields:
        assert a[name].dtype == b[name].dtype, name
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
