"""Losses against answers known from their definitions, and labels that are coarser than the classes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segment.builders_segment import TREE

from pcaug.labels import IGNORE, ClassSet
from pcaug.segment.evaluate import confusion, iou
from pcaug.segment.loss import Loss, Targets, class_weights, lovasz_softmax
from pcaug.segment.recipe import TrainRecipe

DRIVE = ClassSet(TREE, TREE.preset("drive9"))


def loss_of(targets: Targets, **changes: object) -> Loss:
    recipe = TrainRecipe(**{"label_smoothing": 0.0} | changes)  # type: ignore[arg-type]
    return Loss(recipe, targets, torch.ones(len(targets.classes.groups)))


def test_an_inner_node_is_the_set_of_classes_below_it() -> None:
    targets = Targets.of(DRIVE)

    def allowed(name: str) -> set[str]:
        code = targets.code(np.array([TREE.id(name)]))[0]
        return {DRIVE.names[i] for i in np.flatnonzero(targets.members[code])} if code != IGNORE else set()

    assert allowed("road") == {"road"}
    assert allowed("ground") == {"road", "sidewalk", "terrain"}
    assert allowed("paved") == {"road", "sidewalk"}
    assert allowed("ignore") == set()
    assert allowed("vehicle") == set()  # only motor vehicles are a class: a vehicle may be none of ours
    assert allowed("manmade") == {"building", "fence", "pole"}


def test_a_partial_label_trains_the_summed_probability() -> None:
    targets = Targets.of(DRIVE)
    logits = torch.randn(1, 9, generator=torch.Generator().manual_seed(0), requires_grad=True)
    code = torch.from_numpy(targets.code(np.array([TREE.id("ground")])).astype(np.int64))
    value = loss_of(targets)(logits, code)
    p = logits.softmax(1)[0, [DRIVE.names.index(n) for n in ("road", "sidewalk", "terrain")]].sum()
    assert value.item() == pytest.approx(-math.log(p.item()), rel=1e-5)
    value.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_with_whole_labels_it_is_torchs_weighted_cross_entropy() -> None:
    torch.manual_seed(0)
    targets, weights = Targets.of(DRIVE), torch.rand(9) + 0.1
    logits, code = torch.randn(50, 9), torch.randint(0, 9, (50,))
    code[:7] = IGNORE
    ours = Loss(TrainRecipe(label_smoothing=0.0), targets, weights)(logits, code)
    theirs = torch.nn.functional.cross_entropy(logits, code, weights, ignore_index=IGNORE)
    torch.testing.assert_close(ours, theirs)


def test_label_smoothing_is_torchs() -> None:
    torch.manual_seed(0)
    logits, code = torch.randn(50, 9), torch.randint(0, 9, (50,))
    ours = loss_of(Targets.of(DRIVE), label_smoothing=0.1)(logits, code)
    torch.testing.assert_close(ours, torch.nn.functional.cross_entropy(logits, code, label_smoothing=0.1))


def test_focal_loss_of_one_half() -> None:
    classes = ClassSet(TREE, DRIVE.groups[:2])
    value = loss_of(Targets.of(classes), loss="focal")(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]))
    assert float(value) == pytest.approx(0.25 * math.log(2))  # (1 - p)^2 * -log p at p = 1/2 (Lin et al. 2017, equation 4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_lovasz_of_hard_predictions_is_one_minus_iou(pairs: list[tuple[int, int]]) -> None:
    truth, guess = torch.tensor(pairs).T
    value = lovasz_softmax(torch.nn.functional.one_hot(guess, 3).float(), truth)
    expected = 1 - np.mean(list(iou(confusion(truth.numpy(), guess.numpy(), 3), ["a", "b", "c"]).values()))
    assert float(value) == pytest.approx(expected, abs=1e-5)


def some_points(count: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(count, 4, generator=rng).softmax(1), torch.randint(0, 4, (count,), generator=rng)


@pytest.mark.parametrize("trust", [1.0, 0.3])
def test_lovasz_of_points_that_all_count_alike_is_the_published_one_to_the_last_bit(trust: float) -> None:
    probability, label = some_points()
    terms = []
    for cls in range(4):  # algorithm 1 of the paper, on counts
        truth = (label == cls).float()
        error, order = (truth - probability[:, cls]).abs().sort(descending=True, stable=True)
        found, size = truth[order].cumsum(0), truth.sum()
        jaccard = 1 - (size - found) / (size + torch.arange(1, 201) - found)
        terms.append((error * jaccard.diff(prepend=torch.zeros(1)))[None].sum(1))
    alike = lovasz_softmax(probability, label, torch.full((200,), trust))
    assert torch.equal(alike, lovasz_softmax(probability, label))
    torch.testing.assert_close(alike, torch.stack(terms).mean())


def test_lovasz_counts_a_point_as_often_as_it_is_trusted() -> None:
    probability, label = some_points()
    twice = torch.arange(200) % 3 == 0
    doubled = lovasz_softmax(torch.cat([probability, probability[twice]]), torch.cat([label, label[twice]]))
    torch.testing.assert_close(lovasz_softmax(probability, label, 0.25 + 0.25 * twice), doubled)


@pytest.mark.parametrize("classes", ["the same", "one of their own"])
def test_lovasz_learns_next_to_nothing_from_points_that_are_not_trusted(classes: str) -> None:
    targets, made = Targets.of(DRIVE), torch.arange(60) >= 30
    logits = torch.randn(60, 9, generator=torch.Generator().manual_seed(1), requires_grad=True)
    code = torch.arange(60) % 5
    if classes == "one of their own":
        code[made] = 7
    loss_of(targets, loss="lovasz")(logits, code, torch.where(made, 1e-6, 1.0)).backward()
    assert logits.grad is not None
    assert logits.grad[made].abs().max() < 1e-5 < 1e-3 < logits.grad[~made].abs().max()
    with_them = loss_of(targets, loss="lovasz")(logits, code, torch.where(made, 1e-6, 1.0))
    torch.testing.assert_close(with_them, loss_of(targets, loss="lovasz")(logits[~made], code[~made]), rtol=1e-4, atol=1e-4)
    assert torch.isfinite(loss_of(targets, loss="lovasz")(logits, code, torch.where(made, 0.0, 1.0)))


def test_lovasz_leaves_partial_labels_to_the_cross_entropy() -> None:
    targets = Targets.of(DRIVE)
    logits = torch.randn(20, 9, generator=torch.Generator().manual_seed(1))
    only_partial = torch.full((20,), int(targets.code(np.array([TREE.id("ground")]))[0]))
    assert float(lovasz_softmax(logits.softmax(1), only_partial)) == 0
    assert torch.isfinite(loss_of(targets, loss="lovasz")(logits, only_partial))


@pytest.mark.parametrize("kind", ["cross_entropy", "focal", "lovasz"])
def test_nothing_known_costs_nothing(kind: str) -> None:
    logits = torch.randn(5, 9, requires_grad=True)
    value = loss_of(Targets.of(DRIVE), loss=kind)(logits, torch.full((5,), IGNORE))
    value.backward()
    assert float(value.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_trust_and_smoothing_are_per_point() -> None:
    targets = Targets.of(DRIVE)
    logits, code = torch.randn(2, 9, generator=torch.Generator().manual_seed(2)), torch.tensor([0, 1])
    alone = [float(loss_of(targets)(logits[i : i + 1], code[i : i + 1])) for i in (0, 1)]
    mixed = loss_of(targets)(logits, code, torch.tensor([1.0, 0.25]))
    assert float(mixed) == pytest.approx((alone[0] + 0.25 * alone[1]) / 1.25, rel=1e-5)
    smooth = loss_of(targets)(logits, code, None, torch.tensor([0.0, 0.1]))
    both = (alone[0] + float(loss_of(targets, label_smoothing=0.1)(logits[1:], code[1:]))) / 2
    assert float(smooth) == pytest.approx(both, rel=1e-5)


def test_rare_classes_weigh_more_and_absent_ones_nothing() -> None:
    weights = class_weights(np.array([0.9, 0.1, 0.0]), 0.5)
    assert weights[1] > weights[0] > weights[2] == 0
    assert float(weights[:2].mean()) == pytest.approx(1)
    assert class_weights(np.array([0.9, 0.1]), 0.0).tolist() == [1, 1]


def test_a_set_of_classes_weighs_their_mean() -> None:
    targets, weights = Targets.of(DRIVE), torch.arange(1.0, 10.0)
    logits = torch.randn(2, 9, generator=torch.Generator().manual_seed(0))
    code = torch.from_numpy(targets.code(np.array([TREE.id("car"), TREE.id("ground")])).astype(np.int64))
    loss = Loss(TrainRecipe(label_smoothing=0.0), targets, weights)
    one, some = (float(loss(logits[i : i + 1], code[i : i + 1])) for i in (0, 1))
    a = float(weights[code[0]])
    b = float(np.mean([weights[DRIVE.names.index(n)] for n in ("road", "sidewalk", "terrain")]))
    assert float(loss(logits, code)) == pytest.approx((a * one + b * some) / (a + b), rel=1e-5)
