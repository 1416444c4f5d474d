"""ONNX: the same answers from another runtime, for any number of points."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import run

from pcaug.corpus.manifest import SourceRow
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import FileError, PcaugError, RecipeError
from pcaug.segment.blocks import Block
from pcaug.segment.checkpoint import write
from pcaug.segment.evaluate import evaluate
from pcaug.segment.export import export
from pcaug.segment.model import build, probabilities
from pcaug.segment.publish import publish
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.run import Run


@pytest.mark.parametrize("network", ["pointnet", "pillars", "randla"])
def test_onnxruntime_says_what_torch_says(trained: Run, tmp_path: Path, network: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    arguments = {"pillars": {"grid": 16, "depth": 1, "width": 8}, "randla": {"levels": 1}}.get(network, {})
    run = replace(trained, folder=tmp_path, recipe=trained.recipe.model_copy(update={"network": network, "arguments": arguments}))
    torch.manual_seed(0)
    made = build(run).eval()
    write(made.state_dict(), tmp_path / "weights.safetensors")
    assert export(run, tmp_path / "model.onnx") < 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    xyz = rng.uniform(-4, 4, (41, 3)).astype(np.float32)
    features = rng.normal(run.mean, run.spread, (41, len(run.mean))).astype(np.float32)
    found = session.run(None, {"xyz": xyz[None], "features": features[None]})[0][0]
    expected = next(probabilities(run, made, [Block(xyz, features, np.zeros(41, np.uint8))]))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    card = json.loads(session.get_modelmeta().custom_metadata_map["pcaug"])
    assert card["classes"] == run.classes.names
    assert len(card["features"]) == len(run.mean)
    assert [p.name for p in tmp_path.glob("*.onnx*")] == ["model.onnx"]


def test_what_cannot_be_exported_says_so(trained: Run, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be exported"):
        export(replace(trained, recipe=TrainRecipe(network="trees")), tmp_path / "m.onnx")
    (tmp_path / "weights.safetensors").write_bytes(b"")
    with pytest.raises(FileError):
        export(replace(trained, folder=tmp_path), tmp_path / "m.onnx")


def test_a_network_that_answers_with_no_numbers_is_not_exported(trained: Run, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    made = build(trained)
    with torch.no_grad():
        list(made.parameters())[-1].fill_(torch.nan)
    write(made.state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(PcaugError, match="differs from torch's by nan"):
        export(replace(trained, folder=tmp_path), tmp_path / "model.onnx")
    assert not list(tmp_path.glob("*.onnx*"))


def test_a_published_model_is_found_by_name_and_says_what_the_run_said(
    trained: Run, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = evaluate(trained, corpus, "test")
    publish(trained, scores, "a garden", tmp_path / "models" / "gardens")
    monkeypatch.setattr("pcaug.catalogue.shipped", lambda kind: tmp_path / kind)
    run = Run.open("gardens")
    assert evaluate(run, corpus, "test").miou == pytest.approx(scores.miou, abs=0.01)
    page = (run.folder / "README.md").read_text()
    assert f"{100 * scores.miou:.1f}" in page
    assert "garden" in page
    assert str(corpus.folder.parent) not in (run.folder / "card.json").read_text()
    with pytest.raises(PcaugError, match="already exists"):
        publish(trained, scores, "a garden", run.folder)


@pytest.mark.parametrize("licence", ["CC BY-NC 4.0", "CC BY 4.0; CC BY-NC-ND 4.0"])
def test_weights_of_closed_data_are_not_published(licence: str, trained: Run, corpus: Corpus, tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "closed") as writer:
        writer.source(SourceRow(path="a", licence=licence, flags=("by", "nc")))
        writer.add(corpus.read(corpus.tiles[0]), "a", "a")
    run = replace(trained, data=({**trained.data[0], "corpus": str(tmp_path / "closed")},))
    with pytest.raises(PcaugError, match="CC BY-NC"):
        publish(run, evaluate(trained, corpus, "test"), "a garden", tmp_path / "model")


def test_a_model_is_not_published_with_scores_on_what_it_was_trained_on(
    trained: Run, corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = trained.data[0]["units"][0]
    with CorpusWriter(tmp_path / "again") as writer:
        writer.add(corpus.read(corpus.tiles[0]), "a", unit)
    _, told = run(capsys, "export", trained.folder, "-o", tmp_path / "model", "--test", tmp_path / "again", code=1)
    assert f"trained on units of these names: {unit}" in told
    assert not (tmp_path / "model").exists()
