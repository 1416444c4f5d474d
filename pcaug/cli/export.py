"""``pcaug export``: a trained network as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="A run, or the name of a published model.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .onnx file.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over what exists.")] = False,
) -> None:
    """Write the network as ONNX with a free number of points, and check it against torch."""
    from pcaug.cli.console import emit_json, fresh, out
    from pcaug.segment.export import export as write
    from pcaug.segment.run import Run

    fresh(output, force=force)
    difference = write(Run.open(run), output)
    if json:
        emit_json({"output": output, "difference": difference})
    else:
        out().print(f"{output}: probabilities differ from torch's by at most {difference:.1e}", soft_wrap=True)
