"""``pcaug generate``: learn objects of a class and sample new ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def generate(
    action: Annotated[Literal["fit", "sample"], typer.Argument(help="fit a model to a corpus, or sample a fitted model.")],
    source: Annotated[Path, typer.Argument(help="fit: a corpus; sample: a model folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="fit: the model folder; sample: a corpus of objects.")],
    name: Annotated[str, typer.Option("--class", help="fit: class of the taxonomy, for example car.")] = "car",
    number: Annotated[int, typer.Option("-n", min=1, help="sample: how many objects.")] = 100,
    points: Annotated[int, typer.Option(min=16, help="fit: points of an object.")] = 256,
    least: Annotated[int, typer.Option(min=8, help="fit: leave out objects of fewer points.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over what exists.")] = False,
) -> None:
    """Fit a shape model to a class's objects (a quarter held out to score it), or sample new labelled objects."""
    from dataclasses import asdict

    import numpy as np

    from pcaug import generate as room
    from pcaug.cli.console import emit_json, fresh, out
    from pcaug.corpus.read import Corpus
    from pcaug.corpus.write import CorpusWriter

    rng = np.random.default_rng((seed, 0, 0))
    fresh(output, force=force)
    if action == "sample":
        model = room.ShapeModel.load(source)
        with CorpusWriter(output, kind="synthetic", frame="sensor", force=force) as writer:
            for index, cloud in enumerate(model.sample(number, rng)):
                writer.add(cloud, f"{model.label}-{index:05d}", unit=f"{model.label}-{index:05d}")
        out().print(f"{number} objects of class {model.label} in {output}")
        return
    objects = room.gather(Corpus.open(source).clouds(), name, least=least)
    order = rng.permutation(len(objects))
    held = max(1, len(objects) // 4) if len(objects) >= 8 else 0
    training = [objects[i] for i in order[held:]]
    model = room.fit(training, name, rng, points=points)
    model.save(output)
    result: dict[str, object] = {"model": str(output), "class": name, "objects": len(objects), "held_out": held}
    if held:
        samples = model.sample(held, rng)
        result["scores"] = asdict(room.score(samples, [objects[i] for i in order[:held]], training))
    if json:
        emit_json(result)
    else:
        out().print("\n".join(f"{key}: {value}" for key, value in result.items()))
