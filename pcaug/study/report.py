"""The study's page: verdict, arms with their intervals, classes, learning curves, cost, fit, truth and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pcaug.cloud import PointCloud
from pcaug.corpus.manifest import BUFFER
from pcaug.corpus.read import Corpus
from pcaug.errors import counted
from pcaug.explore.gap import explore
from pcaug.explore.report import add_fit, largest
from pcaug.labels import IGNORE
from pcaug.parallel import Progress, silent
from pcaug.segment.evaluate import not_scored
from pcaug.segment.predict import Segmenter, labelled
from pcaug.segment.run import WEIGHTS, Run
from pcaug.study.plan import Job, corpora_of, test_corpus, trainable_units
from pcaug.study.results import ArmSummary, Interval, label_factor, verdicts
from pcaug.study.run import Study
from pcaug.view.picture import legend, render
from pcaug.view.report import Report


def write_report(study: Study, path: Path, progress: Progress = silent) -> Path:
    """Write the page of a study, or of what is done of it."""
    recipe = study.recipe
    test = test_corpus(recipe, study.real)
    report = Report(recipe.title, _lead(study, test))
    report.verdict(verdicts(study.summaries))
    _arms(report, study)
    _classes(report, study)
    _places(report, study)
    _curves(report, study)
    _cost(report, study)
    _pictures(report, study, test)
    seen = next((job.units for job in study.jobs if job.units), trainable_units(recipe, study.real))
    train = study.real.only(units=seen, split="train")
    for index, source in enumerate(recipe.synthetic):
        progress("fit reports", index, len(recipe.synthetic))
        for corpus in corpora_of(source, study.jobs, study.synthetic)[:1]:  # those of other draws take as long, and say the same
            report.heading(f"Does {source.name} fit the real training data?")
            add_fit(report, explore(train, corpus, recipe.seed), train, corpus)
    return report.write(path)


def _lead(study: Study, test: Corpus) -> str:
    most = max((len(job.units) for job in study.jobs), default=0)
    by_area = BUFFER in study.real.splits and not study.recipe.real.test_units
    split = "a spatial test area, with a buffer around it" if by_area else f"units {', '.join(test.units)}"
    test = replace(test, tiles=tuple(tile for tile in test.tiles if tile.split != BUFFER))
    others = test.left_out(study.classes)
    unknown = test.counts().get(test.taxonomy.label_name(IGNORE), 0)
    scored = sum(tile.points for tile in test.tiles) - unknown - sum(others.values())
    left = f"; {told}" if (told := not_scored(others, scored)) else ""
    of = "" if len(study.results) == study.planned else f"{len(study.results)} of "
    return (
        f"{of}{counted(study.planned, 'training')}{earlier_in_words(study)} with equal numbers of steps; up to "
        f"{counted(most, 'real training unit')} each; tested on {split} ({scored:,} points{left}), "
        "which no arm trained on. Intervals are 95 % over the drawn sets of real units, wider where these overlap, and "
        "over seeds where there is one set; they say nothing about other places than the test's."
    )


def earlier_in_words(study: Study) -> str:
    """The trainings that earlier commands left in the folder, in words, with what of them this recipe does not have."""
    if not study.earlier:
        return ""
    named = {arm.name for arm in study.recipe.arms} | {*study.recipe.models}
    others = dict.fromkeys(word for r in study.earlier for word in (r.arm, r.model) if word not in named)
    what = f": {', '.join(others)}" if others else ""
    return f" of this recipe, and {len(study.earlier)} that earlier commands asked for in this folder{what},"


def _arms(report: Report, study: Study) -> None:
    report.heading("Arms")
    rows = [(_who(study, s), 100 * s.miou.mean, 100 * s.miou.low, 100 * s.miou.high) for s in study.summaries]
    report.intervals(
        rows,
        "mIoU with its 95 % interval; a single training has none. Each arm has a colour.",
        "mIoU, %",
        [s.arm for s in study.summaries],
    )
    table = []
    for s in study.summaries:
        gain = "baseline" if s.arm == study.recipe.baseline else ""
        if s.gain is not None:
            gain = s.gain.points("+")
        budget = str(s.budget) if s.budget else "none"
        table.append(
            [
                s.arm,
                s.model,
                budget,
                s.miou.points(),
                gain,
                counted(s.miou.n, s.miou.of.removesuffix("s")),
                f"{s.train_seconds:.0f} s",
            ]
        )
    report.table(["arm", "model", "real units", "mIoU, %", "gain over baseline", "interval over", "a training"], table)


def _classes(report: Report, study: Study) -> None:
    report.heading("Classes")
    names = _percentages(report, study, "IoU, %", [s.iou for s in study.summaries])
    gains = [[_who(study, s), *(_gained(s.class_gain.get(n)) for n in names)] for s in study.summaries if s.class_gain]
    if gains:
        report.text("Gain over the baseline in points of IoU; * where its 95 % interval leaves out zero.")
        report.table(["gain", *names], gains)


def _places(report: Report, study: Study) -> None:
    if any(s.places for s in study.summaries):
        report.heading("Places")
        _percentages(report, study, "mIoU of each test unit, %", [s.places for s in study.summaries])


def _percentages(report: Report, study: Study, what: str, tables: Sequence[dict[str, float]]) -> list[str]:
    """A row for each arm of what one table each tells of it; the names of the columns."""
    names = list(dict.fromkeys(name for table in tables for name in table))
    rows = [
        [_who(study, s), *(f"{100 * table[n]:.1f}" if n in table else "" for n in names)]
        for s, table in zip(study.summaries, tables, strict=True)
    ]
    report.table([what, *names], rows)
    return names


def _curves(report: Report, study: Study) -> None:
    budgets = sorted({s.budget for s in study.summaries if s.budget})
    if len(budgets) < 2:
        return
    report.heading("Learning curves")
    with_real = sorted((s for s in study.summaries if s.budget), key=lambda s: s.budget)
    for model in dict.fromkeys(s.model for s in with_real):
        curves, bands = {}, {}
        arms = dict.fromkeys(s.arm for s in study.summaries if s.model == model and s.budget)
        for arm in arms:
            rows = [s for s in with_real if s.model == model and s.arm == arm]
            curves[arm] = ([s.budget for s in rows], [100 * s.miou.mean for s in rows])
            bands[arm] = ([100 * s.miou.low for s in rows], [100 * s.miou.high for s in rows])
        caption = f"{model}: mIoU against real training units; bands are 95 % intervals."
        report.lines(curves, caption, "real units", "mIoU, %", bands=bands)
        table = []
        for arm in arms:
            if arm != study.recipe.baseline:
                factors = label_factor(study.summaries, model, arm, study.recipe.baseline)
                table.append([arm, *(_factor(factors[b]) if b in factors else "" for b in budgets)])
        report.text(
            "Label factor: how many times more real units the baseline needs for the same mIoU (inf: more than were tried; "
            "less: fewer than the fewest that were tried)."
        )
        report.table([model, *(counted(b, "unit") for b in budgets)], table)


def _factor(value: float) -> str:
    return "less" if np.isnan(value) else f"{value:.1f}"


def _cost(report: Report, study: Study) -> None:
    report.heading("What it cost")
    rows = [[name, f"{c['seconds']:.0f} s", f"{1000 * c['gigabytes']:.1f} MB"] for name, c in study.cost.items()]
    report.table(["source", "to build", "on disk"], rows)


def _pictures(report: Report, study: Study, test: Corpus) -> None:
    """What the runs predict; nothing of runs that the user has removed since."""
    there = [job for job in study.jobs if (study.folder / "runs" / job.name / WEIGHTS).is_file()]
    if not there:
        return
    report.heading("Truth and prediction")
    cloud, name = _shown(test)
    classes = Run.open(study.folder / "runs" / there[0].name).classes
    index = classes.index(cloud["label"])
    truth = classes.node(index)
    jobs = [job for job in there if job.seed == 0 and job.draw == 0] or there[:1]
    guessed = [_predicted(study, job, cloud, test).with_fields(label=truth) for job in jobs]
    means = {(s.model, s.arm, s.budget): s.miou.mean for s in study.summaries}
    best = max(range(len(jobs)), key=lambda i: means[jobs[i].model, jobs[i].arm.name, jobs[i].budget])
    titles = [f"{job.arm.name} ({job.model}, {counted(job.budget, 'real unit')})" for job in jobs]
    report.viewer([guessed[best]], [titles[best]], f"{name}: truth, prediction of the best arm, and where it is wrong.")
    report.picture(render(guessed[0], 960, 420, "class"), f"Truth: {name}")
    for predicted, title in zip(guessed, titles, strict=True):
        report.picture(render(predicted, 960, 420, "prediction"), title)
    report.marks(legend(guessed, ["prediction"] * len(guessed)))


def _shown(test: Corpus) -> tuple[PointCloud, str]:
    """Of a map its largest test site; of scans the one with most classes, the larger one among equals."""
    if test.manifest.frame == "map":
        return largest(test), "the largest test site, 60 m of it"
    tile = test.richest_tile()
    return test.read(tile), tile.name


def _predicted(study: Study, job: Job, cloud: PointCloud, test: Corpus) -> PointCloud:
    run = Run.open(study.folder / "runs" / job.name)
    return labelled(Segmenter.load(run), cloud, test.manifest.frame)


def _gained(gain: Interval | None) -> str:
    if gain is None:
        return ""
    return f"{100 * gain.mean:+.1f}{' *' if gain.low > 0 or gain.high < 0 else ''}"


def _who(study: Study, s: ArmSummary) -> str:
    """An arm's name, with its budget and model where there are several."""
    budget = (
        f", {counted(s.budget, 'unit')}" if len({row.budget for row in study.summaries if row.budget}) > 1 and s.budget else ""
    )
    return s.arm + budget + (f", {s.model}" if len({row.model for row in study.summaries}) > 1 else "")
