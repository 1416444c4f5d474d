"""Known answers for intervals, pairing, label factors and verdicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pcaug import catalogue
from pcaug.errors import RecipeError
from pcaug.study.recipe import StudyRecipe
from pcaug.study.results import Result, interval, label_factor, summarise, verdicts, write_parquet


def result(arm: str, miou: float, *, budget: int = 1, draw: int = 0, seed: int = 0) -> Result:
    return Result("pointnet", arm, budget, ("00",), draw, seed, miou, 0.9, {"road": miou, "car": miou / 2}, 10.0, 1.0)


def test_interval_is_students() -> None:
    # scipy.stats.t.interval(0.95, 2, loc=2, scale=1/sqrt(3)) = (-0.484, 4.484)
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.low == pytest.approx(-0.4841, abs=1e-3)
    assert found.high == pytest.approx(4.4841, abs=1e-3)
    assert np.isnan(interval([1.0]).low)


def test_an_arm_without_real_data_is_measured_against_all_draws_of_the_smallest_budget() -> None:
    rows = [result("base", miou, draw=draw) for draw, miou in enumerate((0.1, 0.4))] + [result("base", 0.9, budget=4)]
    *_, alone = summarise([*rows, result("synthetic", 0.3, budget=0)], "base")
    assert alone.gain is not None
    assert alone.gain.mean == pytest.approx(0.3 - 0.25)
    assert alone.class_gain["car"].mean == pytest.approx(0.15 - 0.125)


def test_an_interval_of_miou_ends_where_miou_does_and_that_of_a_gain_does_not() -> None:
    rows = [result("base", miou, draw=draw) for draw, miou in enumerate((0.1, 0.9))]
    base, more = summarise([*rows, *(result("more", 0.5, draw=draw) for draw in range(2))], "base")
    assert (base.miou.low, base.miou.high) == (0, 1)
    assert more.gain is not None
    assert more.gain.low < -1
    (one,) = summarise(rows[:1], "base")
    assert np.isnan([one.miou.low, one.miou.high]).all()


def test_gain_is_paired_by_draw_and_seed() -> None:
    rows = [result("base", 0.1 * s + 0.2, seed=s) for s in range(3)]
    rows += [result("more", 0.1 * s + 0.25 + 0.001 * s, seed=s) for s in range(3)]
    base, more = summarise(rows, "base")
    assert base.gain is None
    assert more.gain is not None
    assert more.gain.mean == pytest.approx(0.051)
    assert more.gain.low > 0.04  # unpaired, the spread of 0.1 between seeds would hide it
    assert more.iou["car"] == pytest.approx(more.miou.mean / 2)
    (told,) = verdicts([base, more])
    assert told.startswith(
        "pointnet, 1 real unit (points of mIoU, 95 % intervals over 3 seeds). It helped: more +5.1 (+4.9 to +5.3)."
    )


def test_intervals_are_over_drawn_units_and_not_over_seeds() -> None:
    rows = [
        replace(result(arm, miou + gain, draw=draw, seed=seed), units=(unit,))
        for draw, (unit, effect) in enumerate([("00", 0.1), ("01", 0.2), ("01", 0.2)])
        for seed in range(2)
        for arm, miou, gain in (("base", 0.3, 0.0), ("more", 0.3, effect + 0.01 * seed))
    ]
    gain = summarise(rows, "base")[1].gain
    assert gain is not None
    assert (gain.n, gain.of) == (2, "draws")
    expected = interval([0.105, 0.205])
    assert (gain.mean, gain.low) == pytest.approx((expected.mean, expected.low))


def test_an_arm_without_real_data_is_paired_with_the_smallest_budget() -> None:
    rows = [result("base", 0.2, budget=1), result("base", 0.4, budget=2), result("synthetic only", 0.3, budget=0)]
    gain = summarise(rows, "base")[2].gain
    assert gain is not None
    assert gain.mean == pytest.approx(0.1)


def test_an_arm_without_real_data_does_not_help_by_its_seeds_alone() -> None:
    rows = [
        replace(result("base", miou, draw=draw, seed=seed), units=(unit,))
        for draw, (unit, miou) in enumerate([("00", 0.1), ("01", 0.3), ("02", 0.5)])
        for seed in range(2)
    ]
    alone = summarise([*rows, *(result("synthetic", 0.35, budget=0, seed=seed) for seed in range(2))], "base")[-1]
    assert alone.gain is not None
    expected = interval([0.25, 0.05, -0.15])  # the seeds of the arm are all alike and add nothing
    assert (alone.gain.n, alone.gain.of) == (3, "draws")
    assert (alone.gain.mean, alone.gain.low) == pytest.approx((expected.mean, expected.low))
    assert (
        "no real data, against the fewest real units (points of mIoU, 95 % intervals over 3 draws). "
        "Undecided, more draws or seeds would tell: " in verdicts([alone])[0]
    )


def test_a_single_training_without_real_data_proves_nothing() -> None:
    rows = [replace(result("base", miou, draw=d), units=(str(d),)) for d, miou in enumerate((0.1, 0.11, 0.12))]
    single = summarise([*rows, result("synthetic", 0.35, budget=0)], "base")[-1]
    assert single.gain is not None
    assert np.isnan(single.gain.low)  # it may be a lucky one
    assert "Single trainings, which prove nothing: synthetic +24.0" in verdicts([single])[0]


def test_an_arm_without_real_data_that_is_no_better_seldom_helps() -> None:
    """Its interval holds the truth in 95 % of studies, and not in 70 %, however many draws the baseline has."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        rows = [
            replace(result("base", 0.5 + rng.normal(0, 0.01) + rng.normal(0, 0.02), draw=draw), units=(str(draw),))
            for draw in range(10)
        ]
        rows += [result("synthetic", 0.5 + rng.normal(0, 0.02), budget=0, seed=seed) for seed in range(3)]
        gain = summarise(rows, "base")[-1].gain
        assert gain is not None
        held += gain.low < 0 < gain.high
    assert 0.91 * 300 < held < 300


def test_a_gain_that_may_matter_is_left_open() -> None:
    def told(*gains: float) -> str:
        rows = [replace(result("base", 0.5, draw=d), units=(str(d),)) for d in range(len(gains))]
        rows += [replace(result("more", 0.5 + g, draw=d), units=(str(d),)) for d, g in enumerate(gains)]
        return verdicts(summarise(rows, "base"))[0]

    assert "Undecided" in told(0.01, 0.04, 0.08)
    assert "did not help measurably" in told(0.01, -0.01, 0.0)
    assert "by chance" not in told(0.03, 0.031, 0.032)  # one arm, no choice


def test_what_chance_would_say_of_several_arms_and_classes_is_told() -> None:
    rows = [replace(result("base", 0.5, draw=d), units=(str(d),)) for d in range(4)]
    for arm, gain in (("a", 0.1), ("b", 0.05), ("c", 0.0)):
        better = [replace(result(arm, 0.5 + gain + 0.001 * d, draw=d), units=(str(d),)) for d in range(4)]
        rows += [replace(row, iou={"road": 0.5 + gain, "car": 0.1 + 0.001 * row.draw}) for row in better]
    (said,) = verdicts(summarise(rows, "base"))
    assert "of 3 arms that change nothing one would help by chance in 7 % of studies" in said
    assert "of 6 classes of 3 arms that do not change one would lose by chance in 14 %" in said


def test_draws_that_overlap_make_a_wide_interval() -> None:
    """Sets of 6 of 8 units: with the overlap reckoned in, 95 % intervals hold the truth in 95 % of the studies, not in half."""
    rng = np.random.default_rng(0)
    held = {"as they are": 0, "with overlap": 0}
    for _ in range(400):
        effects = rng.normal(0.0, 1.0, 8)
        rows = []
        for draw in range(5):
            units = rng.choice(8, 6, replace=False)
            names, gain = tuple(sorted(str(u) for u in units)), 0.01 * float(effects[units].mean())
            rows += [replace(result(arm, 0.5 + more, draw=draw), units=names) for arm, more in (("base", 0.0), ("more", gain))]
        found = summarise(rows, "base")[1].gain
        gains = {r.units: r.miou - 0.5 for r in rows if r.arm == "more"}
        plain = interval(list(gains.values()))
        assert found is not None
        held["as they are"] += plain.low < 0 < plain.high
        held["with overlap"] += found.low < 0 < found.high
    assert held["as they are"] < 0.7 * 400
    assert 0.9 * 400 < held["with overlap"] < 0.99 * 400


def test_a_null_effect_is_not_called_a_gain() -> None:
    rng = np.random.default_rng(0)
    rows = [result("base", 0.5 + rng.normal(0, 0.02), seed=s) for s in range(6)]
    rows += [result("copy", 0.5 + rng.normal(0, 0.02), seed=s) for s in range(6)]
    assert "did not help measurably" in verdicts(summarise(rows, "base"))[0]
    worse = [result("bad", 0.3 + 0.001 * s, seed=s) for s in range(6)]
    (told,) = verdicts(summarise(rows + worse, "base"))
    hurt, rest = told.split("It did not help measurably, not worth it on this evidence: ")
    assert "It hurt, not worth it here: bad -" in hurt
    assert hurt.endswith(", but road -19.9, car -10.0. ")
    assert rest.startswith("copy ")


def test_label_factor_reads_the_baseline_curve() -> None:
    rows = [result("base", m, budget=b) for b, m in ((1, 0.2), (2, 0.3), (4, 0.4))]
    rows += [result("more", 0.3, budget=1), result("more", 0.35, budget=2), result("more", 0.5, budget=4)]
    factors = label_factor(summarise(rows, "base"), "pointnet", "more", "base")
    assert factors[1] == pytest.approx(2.0)
    assert factors[2] == pytest.approx(np.sqrt(2))
    assert factors[4] == np.inf
    worse = [*rows, result("worse", 0.05, budget=1)]
    assert np.isnan(label_factor(summarise(worse, "base"), "pointnet", "worse", "base")[1])


def test_a_baseline_that_falls_with_more_units_makes_no_arm_harmful() -> None:
    rows = [result("base", m, budget=b) for b, m in ((1, 0.28), (2, 0.40), (3, 0.38))]
    rows += [result("more", m + 0.01, budget=b) for b, m in ((1, 0.28), (2, 0.40), (3, 0.38))]
    factors = label_factor(summarise(rows, "base"), "pointnet", "more", "base")
    assert factors == {1: pytest.approx(2 ** (1 / 12)), 2: np.inf, 3: 1.0}
    rows += [result("less", 0.34, budget=3)]
    assert label_factor(summarise(rows, "base"), "pointnet", "less", "base") == {3: pytest.approx(2**0.5 / 3)}


def test_an_arm_that_is_no_worse_with_as_many_units_needs_no_fewer_where_the_baseline_only_falls() -> None:
    rows = [result("base", m, budget=b) for b, m in ((1, 0.5), (2, 0.4))]
    rows += [result("more", m, budget=b) for b, m in ((1, 0.45), (2, 0.45))]
    factors = label_factor(summarise(rows, "base"), "pointnet", "more", "base")
    assert factors[2] == 1.0
    assert np.isnan(factors[1])


def test_parquet_has_a_row_a_training(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write_parquet([result("a", 0.5), replace(result("b", 0.6), places={"05": 0.7})], tmp_path / "r.parquet")
    table = pq.read_table(tmp_path / "r.parquet").to_pylist()
    assert [row["miou"] for row in table] == [0.5, 0.6]
    assert table[1]["iou_car"] == 0.3
    assert [row["miou_05"] for row in table] == [None, 0.7]


def test_a_recipe_whose_names_do_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    text = 'title="t"\nbaseline="a"\n[real]\nsource="x"\n[[arms]]\nname="a"\nsynthetic=["nowhere"]\n'
    path.write_text(text)
    with pytest.raises(RecipeError, match="unknown sources"):
        catalogue.load(path, StudyRecipe)
    path.write_text(text.replace('baseline="a"', 'baseline="b"'))
    with pytest.raises(RecipeError, match="baseline 'b' is not among"):
        catalogue.load(path, StudyRecipe)
    path.write_text(text.replace("title", "tittle"))
    with pytest.raises(RecipeError, match="did you mean 'title'"):
        catalogue.load(path, StudyRecipe)


def test_two_arms_without_real_data_are_paired_once() -> None:
    rows = [result(arm, miou, budget=0, seed=seed) for arm, miou in (("base", 0.2), ("other", 0.3)) for seed in range(3)]
    gain = summarise(rows, "base")[1].gain
    assert gain is not None
    assert gain.n == 3


def test_each_model_measures_an_arm_without_real_data_at_its_own_smallest_budget() -> None:
    rows = [result("base", 0.3), result("synthetic", 0.2, budget=0)]
    rows += [replace(row, model="trees", budget=row.budget * 2) for row in rows]
    gains = {row.model: row.gain for row in summarise(rows, "base") if row.arm == "synthetic"}
    assert [round(gain.mean, 6) for gain in gains.values() if gain] == [-0.1, -0.1]


def test_an_arm_without_real_data_gains_by_the_mean_of_its_seeds() -> None:
    rows = [result("base", m, seed=s) for s, m in enumerate((0.2, 0.4))] + [
        result("synthetic", m, budget=0, seed=s) for s, m in enumerate((0.3, 0.6))
    ]
    assert summarise(rows, "base")[1].gain.mean == pytest.approx(0.15)
