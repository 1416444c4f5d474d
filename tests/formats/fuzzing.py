"""Damaged files of every format, read in a process of its own: ``python -m formats.fuzzing FOLDER CASES``.

Each case is a whole file of at most a few kilobytes cut, overwritten or stretched somewhere. Reading it gives points or an error
of ours; anything else ends the process with the case's name. A crash or a hang is seen from outside, by the last line printed.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from builders import make_cloud

from pcaug import formats
from pcaug.errors import PcaugError

SEEDS: dict[str, dict[str, Any]] = {
    "las.las": {}, "laz.laz": {}, "copc.copc.laz": {}, "ply.ply": {}, "words.ply": {"ascii": True}, "pcd.pcd": {},
    "words.pcd": {"data": "ascii"}, "packed.pcd": {"data": "binary_compressed"}, "e57.e57": {}, "npy.npy": {}, "npz.npz": {},
    "packed.npz": {"compress": True}, "hdf5.h5": {}, "plain.h5": {"compression": None}, "parquet.parquet": {}, "text.txt": {},
}  # fmt: skip
"""File name -> how it is written."""
MEGABYTES = 500
NUMBERS = (b"0", b"-1", b"4000000000", b"99999999999999999999", b"1e400", b"nan", b"7" * 5000)


def damaged(raw: bytes, cases: int, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Files with one thing wrong each, mostly in what heads and tables at the end say; a few with several."""
    words = list(re.finditer(rb"\d+", raw[:3000]))
    near = [*range(min(len(raw), 700)), *range(max(0, len(raw) - 400), len(raw))]
    for case in range(cases):
        at = int(rng.choice(near))
        kind = case % 5
        if kind == 0:
            yield f"cut at {at}", raw[:at]
        elif kind == 1:
            width, value = (1, 2, 4, 8)[rng.integers(4)], (0, 2**31 - 1, 2**32 - 1, 2**30, 10**9, 2**63 - 1)[rng.integers(6)]
            number = (value % (1 << 8 * width)).to_bytes(width, "little")
            yield f"{number.hex()} at {at}", raw[:at] + number + raw[at + width :]
        elif kind == 2:
            yield f"bit at {at}", raw[:at] + bytes([raw[at] ^ 1 << int(rng.integers(8))]) + raw[at + 1 :]
        elif kind == 3 and words:
            word, number = words[rng.integers(len(words))], NUMBERS[rng.integers(len(NUMBERS))]
            yield f"{number[:20]!r} for the number at {word.start()}", raw[: word.start()] + number + raw[word.end() :]
        else:
            several = bytearray(raw)
            several[at:at] = raw[: rng.integers(60)]
            for place in rng.integers(0, len(several), rng.integers(1, 10)):
                several[place] = rng.integers(256)
            yield f"several from {at}", bytes(several)


def peak() -> float:
    """Most memory that this process has held since the mark was last set back, MB; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024 if status.exists() else 0.0


def main(folder: Path, cases: int) -> None:
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    for name, options in SEEDS.items():
        whole, path = folder / name, folder / f"damaged-{name}"
        formats.write(whole, make_cloud(40, rgb=np.zeros((40, 3), np.uint16), time=np.linspace(0, 1, 40)), **options)
        boxes: list[dict[str, Any]] = [{}, {"bounds": ((0, 0), (5, 5))}] if "copc" in name else [{}]
        for case, (what, data) in enumerate(damaged(whole.read_bytes(), cases, rng)):
            print(f"{name}: {what}", flush=True)
            path.write_bytes(data)
            before, points, said = peak(), 0, ""
            try:
                points = sum(len(chunk) for chunk in formats.iter_chunks(path, **boxes[case % len(boxes)]))
            except PcaugError as error:
                said = str(error)
            assert "\n" not in said, said
            assert points <= len(data), points
            assert peak() - before < MEGABYTES, f"{peak() - before:.0f} MB"
    print("done")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
