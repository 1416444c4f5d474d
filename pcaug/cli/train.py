"""``pcaug train``: train a segmenter."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from pcaug.cli import options as o
from pcaug.errors import counted
from pcaug.parallel import silent


def train(
    recipe: Annotated[str, typer.Argument(help="Name of a training recipe (pillars, pointnet, randla, trees), or a TOML file.")],
    real: Annotated[Path, typer.Option(help="Corpus of real clouds; its split train is used.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The run's folder; an interrupted training resumes in it.")],
    synthetic: Annotated[list[Path] | None, typer.Option(help="Corpus of synthetic clouds; may be given several times.")] = None,
    unlabelled: Annotated[
        list[Path] | None, typer.Option(help="Corpus of real clouds without labels: a first training labels them for the second.")
    ] = None,
    change: o.Change = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard's events into the run.")] = False,
    json: o.Json = False,
    force: o.Force = False,
) -> None:
    """Train on real clouds, and on synthetic ones beside them. Under torchrun, several processes train as one."""
    from pcaug.cli.console import emit_json, out, reporter
    from pcaug.corpus.read import Corpus
    from pcaug.files import claim
    from pcaug.segment.loss import untaught
    from pcaug.segment.recipe import load_recipe
    from pcaug.segment.run import KIND, WEIGHTS, clear, is_begun
    from pcaug.segment.selftrain import self_train
    from pcaug.segment.train import check
    from pcaug.segment.train import train as fit

    wanted = load_recipe(recipe, change or [])
    first = os.environ.get("RANK", "0") == "0"
    finished = (output / WEIGHTS).is_file()
    if first:
        told = {"what": "holds a finished run"} if finished else {}
        claim(output, force=force, resumes=is_begun(output) and not finished, kind=KIND, **told)
    inputs = [Corpus.open(path) for path in (real, *(synthetic or []), *(unlabelled or []))]
    if force and first:
        check(wanted, inputs[: 1 + len(synthetic or [])], len(unlabelled or []))
        clear(output, inputs)
    with reporter() as progress:
        shown = progress if first else silent
        if unlabelled:
            made = 1 + len(synthetic or [])
            run = self_train(wanted, inputs[0], inputs[made:], inputs[1:made], output, progress=shown, tensorboard=tensorboard)
        else:
            run = fit(wanted, inputs[0], inputs[1:], output, progress=shown, tensorboard=tensorboard)
    if not first:
        return
    if json:
        emit_json({"run": output, "classes": run.classes.names, "steps": wanted.steps, "recipe": wanted.model_dump(mode="json")})
    else:
        length = f"{wanted.trees} of them" if wanted.is_forest else f"{wanted.steps} steps"
        out().print(f"{output}: {wanted.network}, {length}, classes {', '.join(run.classes.names)}", soft_wrap=True, markup=False)
        if left := untaught(run.classes, run.data[0]["classes"]):
            named = ", ".join(f"{name} ({counted(number, 'point')})" for name, number in left.items())
            do = "; these are the classes that all corpora tell, --set classes=PRESET for others" * (wanted.classes == "cut")
            out().print(f"labelled, but of no class above: {named}{do}", soft_wrap=True, markup=False)
        if "test" in inputs[0].splits:
            command = shlex.join(["pcaug", "evaluate", str(output), str(real), "--split", "test"])
            out().print(f"score it: {command}", soft_wrap=True, markup=False)
