"""``pcaug doctor``: check this machine and say what to do."""

from __future__ import annotations

from collections.abc import Callable

import typer

from pcaug.cli import options as o

Check = tuple[bool | None, str, str]
"""Good (None: optional and absent), what was found, what to do."""


def doctor(json: o.Json = False) -> None:
    """Check Python, torch, Open3D, rendering, LAZ, threads and GPU, and say what to do about each."""
    from pcaug.cli.console import emit_json, out

    results = {name: check() for name, check in CHECKS.items()}
    if json:
        emit_json({name: {"ok": ok, "found": found, "do": do} for name, (ok, found, do) in results.items()})
    else:
        marks = {True: "[green]ok[/]", False: "[red]no[/]", None: "[yellow]--[/]"}
        for name, (ok, found, do) in results.items():
            out().print(
                f"{marks[ok]}  [bold]{name:8}[/] {found}" + (f"\n             [dim]{do}[/]" if do else ""), soft_wrap=True
            )
    if any(ok is False for ok, _, _ in results.values()):
        raise typer.Exit(1)


def _python() -> Check:
    import platform
    import sys

    good = sys.version_info >= (3, 11)
    return good, f"{platform.python_version()} on {platform.platform()}", "" if good else "install Python 3.11 or newer"


def _torch() -> Check:
    try:
        import torch
    except ImportError as error:
        return False, f"import fails: {error}", "pip install torch"
    bf16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return True, f"{torch.__version__}, bf16 on this CPU: {'yes' if bf16 else 'no'}", ""


def _open3d() -> Check:
    from pcaug.cloud import open3d
    from pcaug.errors import PcaugError

    try:
        return True, open3d().__version__, ""
    except PcaugError as error:
        return False, error.what, error.do or ""


def _rendering() -> Check:
    import ctypes.util
    import os

    vulkan = ctypes.util.find_library("vulkan")
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    found = f"EGL {_yes(ctypes.util.find_library('EGL'))}, Vulkan {_yes(vulkan)}, display {display or 'none'}"
    if display and vulkan:
        return True, found, ""
    lacking = "apt install libvulkan1 mesa-vulkan-drivers" if display else "pcaug view --html or --png need no display"
    return None, found, lacking


def _laz() -> Check:
    import laspy

    backends = [backend.name for backend in laspy.LazBackend.detect_available()]
    return bool(backends), ", ".join(backends) or "no LAZ backend", "" if backends else "pip install lazrs"


def _threads() -> Check:
    import os

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limit = os.environ.get("OMP_NUM_THREADS")
    return True, f"{cores} cores" + (f", OMP_NUM_THREADS={limit}" if limit else ""), ""


def _gpu() -> Check:
    try:
        import torch
    except ImportError:
        return None, "unknown without torch", ""
    if torch.cuda.is_available():
        return True, torch.cuda.get_device_name(0), ""
    return None, "none that torch can use", "not needed; for training on one install the CUDA build of torch"


def _disk() -> Check:
    import shutil

    free = shutil.disk_usage(".").free / 1e9
    return free > 2, f"{free:.0f} GB free here", "" if free > 2 else "corpora and caches need room: free some"


def _yes(found: str | None) -> str:
    return "yes" if found else "no"


CHECKS: dict[str, Callable[[], Check]] = {
    "Python": _python,
    "torch": _torch,
    "Open3D": _open3d,
    "view": _rendering,
    "LAZ": _laz,
    "threads": _threads,
    "GPU": _gpu,
    "disk": _disk,
}
