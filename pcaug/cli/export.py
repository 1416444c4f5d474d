"""``pcaug export``: a trained network as ONNX, or as a model to publish."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pcaug.cli import options as o
from pcaug.errors import PcaugError


def export(
    run: Annotated[Path, typer.Argument(help="A run, or the name of a published model.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .onnx file; with --test, the folder of the model.")],
    test: Annotated[
        Path | None, typer.Option(help="Publish: a corpus that was not trained on, for the metrics of the model's page.")
    ] = None,
    json: o.Json = False,
    force: o.Force = False,
) -> None:
    """Write the network as ONNX, checked against torch; or with --test, as a model to publish: weights, card and page."""
    from pcaug.cli.console import emit_json, fresh, out, reporter
    from pcaug.segment.run import Run

    opened = Run.open(run)
    if test is None:
        from pcaug.segment.export import export as write

        if output.suffix.lower() != ".onnx":
            raise PcaugError("is not the name of an ONNX file", output, "end it in .onnx; a model to publish needs --test")
        fresh(output, force=force)
        difference = write(opened, output)
        if json:
            emit_json({"output": output, "difference": difference})
        else:
            out().print(f"{output}: probabilities differ from torch's by at most {difference:.1e}", soft_wrap=True, markup=False)
        return
    from pcaug.corpus.read import Corpus
    from pcaug.segment.evaluate import chosen_on, evaluate, trained_on
    from pcaug.segment.publish import KIND, publish

    fresh(output, force=force, kind=KIND)
    corpus = Corpus.open(test)
    split = "test" if "test" in corpus.splits else None
    if known := trained_on(opened, corpus, split):
        raise PcaugError(
            f"the model was trained on units of these names: {', '.join(known[:8])}", test, "give a corpus that is new to it"
        )
    if chosen := chosen_on(opened, corpus, split):
        what = f"the model's weights were chosen on units of these names: {', '.join(chosen[:8])}"
        raise PcaugError(what, test, "give a corpus that is new to it")
    with reporter() as progress:
        scores = evaluate(opened, corpus, split, progress=progress)
    publish(opened, scores, test.name, output, force=force)
    if json:
        emit_json({"output": output, "miou": scores.miou})
    else:
        out().print(f"{output}: mIoU {100 * scores.miou:.1f} on {test}", soft_wrap=True, markup=False)
