"""What was said of runs of the study of exposure bias before they were trained: families, verdicts, intervals."""

import numpy as np
import pytest


class TestWhatWasPlanned:
    def test_an_interval_over_seeds_and_words_is_that_of_a_literal_bootstrap(self):
        from experiments.exposure_bias import planned

        random = np.random.default_rng(1)
        first, second = (
            {seed: (random.random(60) < share).astype(float) for seed in range(4)} for share in (0.3, 0.4)
        )
        drawn = []
        for _ in range(4000):
            seeds, words = random.integers(4, size=4), random.integers(60, size=60)
            drawn.append(
                np.mean([[second[seed][word] - first[seed][word] for word in words] for seed in seeds])
            )
        assert planned.crossed(first, second) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.015)
        assert planned.crossed(first, first) == (0, 0)

    def test_the_family_of_four_and_what_is_as_good(self):
        """Values by SciPy; a method that lacks a seed is not judged."""
        from scipy import stats

        from experiments.exposure_bias import expected, planned

        random = np.random.default_rng(2)
        shares = {
            "full": 0.07,
            "free": 0.11,
            "RAML": 0.04,
            "R-Drop": 0.069,
            "two-pass": 0.04,
            "mixed": 0.0701,
        }
        errors = {
            method: {seed: round(450 * (share + random.normal(0, 0.002))) / 450 for seed in range(6)}
            for method, share in shares.items()
        }
        bits = {method: {seed: np.zeros(450) for seed in its} for method, its in errors.items()}
        values = {**errors, "uniform": {0: 0.1}}
        found = {row["method"]: row for row in planned.table(values, expected.PLANS["sounds"], bits)}
        assert found.keys() == shares.keys() - {"full"}
        tests = {
            method: stats.ttest_rel([*its.values()], [*errors["full"].values()])
            for method, its in errors.items()
        }
        four = {method: tests[method].pvalue for method in expected.OF_FOUR}
        for place, method in enumerate(sorted(four, key=four.__getitem__)):
            least = max(min(1, (4 - k) * p) for k, p in enumerate(sorted(four.values())[: place + 1]))
            assert float(found[method]["p (Holm, family)"]) == pytest.approx(least, abs=5e-4)
        assert {method: row["verdict"] for method, row in found.items()} == {
            "free": "as expected",
            "RAML": "as expected",
            "R-Drop": "not seen",
            "two-pass": "better, against what was expected",
            "mixed": "",
        }
        low, high = tests["mixed"].confidence_interval(0.9)
        assert found["mixed"]["90 %"] == f"[{low:+.4f}, {high:+.4f}]"
        assert (found["mixed"]["as good"], found["free"]["as good"]) == ("yes", "no")

    def test_other_pairs_another_baseline_and_a_quality_that_is_better_higher(self, tmp_path, monkeypatch):
        """By the seeds that all methods of a family have, from the rows of these pairs alone."""
        from scipy import stats

        from experiments.exposure_bias import planned
        from experiments.tables import write_csv

        random = np.random.default_rng(3)
        means = {"full": 15, "smoothing": 16, "R-Drop": 18, "free": 12, "confidence": 17, "mixed": 15}
        bleu = {
            method: {seed: round(mean + random.normal(0, 0.1), 3) for seed in range(6)}
            for method, mean in means.items()
        }
        del bleu["free"][5], bleu["mixed"][2]
        write_csv(
            [
                {
                    "pairs": pairs,
                    "method": method,
                    "seed": str(seed),
                    "bleu": str(value if pairs == "longer" else seed),
                }
                for pairs in ("test", "longer")
                for method, its in bleu.items()
                for seed, value in its.items()
            ],
            "sentences-shift_runs",
            tmp_path,
        )
        monkeypatch.setattr(planned, "STUDY", tmp_path)
        found = planned.tables()
        assert list(found) == ["sentences-longer", "sentences-longer-control"]
        rows = {row["method"]: row for row in found["sentences-longer"]}
        assert {method: row["verdict"] for method, row in rows.items()} == {
            "smoothing": "",
            "R-Drop": "as expected",
            "free": "as expected",
            "confidence": "better, against what was expected",
        }
        assert {row["seeds"] for row in rows.values()} == {"5"}
        (control,) = found["sentences-longer-control"]
        difference = np.array([bleu["R-Drop"][seed] - bleu["smoothing"][seed] for seed in range(6)])
        low, high = stats.ttest_1samp(difference, 0).confidence_interval()
        assert (control["method"], control["verdict"]) == ("R-Drop", "as expected")
        assert control["difference from smoothing"] == f"{difference.mean():+.2f} [{low:+.2f}, {high:+.2f}]"

    def test_what_a_method_has_beyond_another_task_is_a_difference_of_differences(
        self, tmp_path, monkeypatch
    ):
        """Hypothesis 4: from trained weights less is lost than from random ones; paired by seed."""
        from scipy import stats

        from experiments.exposure_bias import planned
        from experiments.tables import write_csv

        random = np.random.default_rng(4)
        lost = {"free": (6, 1), "optimal-completion": (4, 1), "confidence": (3, 3), "mixed": (3, 1)}
        lost |= {"two-pass": (2, 3), "full": (0, 0), "self-critical": (0, 0)}
        bleu = {
            task: {
                method: {
                    seed: round(40 + start - both[place] + random.normal(0, 0.2), 3) for seed in range(6)
                }
                for method, both in lost.items()
            }
            for place, (task, start) in enumerate((("sentences", 0), ("sentences-continued", 2)))
        }
        del bleu["sentences"]["self-critical"]
        for task, of_task in bleu.items():
            rows = [
                {"method": method, "seed": str(seed), "bleu": str(value)}
                for method, its in of_task.items()
                for seed, value in its.items()
            ]
            write_csv(rows, f"{task}_runs", tmp_path)
        monkeypatch.setattr(planned, "STUDY", tmp_path)
        rows = {row["method"]: row for row in planned.tables()["sentences-continued-beyond"]}
        assert rows.keys() == lost.keys() - {"full", "self-critical"}
        by_seed = {
            method: np.array(
                [
                    (bleu["sentences-continued"][method][seed] - bleu["sentences-continued"]["full"][seed])
                    - (bleu["sentences"][method][seed] - bleu["sentences"]["full"][seed])
                    for seed in range(6)
                ]
            )
            for method in rows
        }
        for method, difference in by_seed.items():
            low, high = stats.ttest_1samp(difference, 0).confidence_interval()
            shown = f"{difference.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
            assert rows[method]["difference of both differences"] == shown
        assert {method: row["verdict"] for method, row in rows.items()} == {
            "free": "as expected",
            "optimal-completion": "as expected",
            "mixed": "as expected",
            "confidence": "not seen",
            "two-pass": "worse, against what was expected",
        }

    def test_the_order_of_methods_by_gap_and_by_quality(self):
        from scipy import stats

        from experiments.exposure_bias import over_tasks

        rows = [
            {"method": method, "seed": str(seed), "exposure_gap": str(gap), "sequence_error_rate": str(error)}
            for seed in range(3)
            for method, gap, error in (("full", 3, 1), ("free", 1, 4), ("mixed", 2, 2), ("RAML", 2.5, 3))
        ]
        rows += [rows[1] | {"method": "uniform", "seed": seed} for seed in "01"]  # too few
        rows.append({"method": "full", "seed": "3", "exposure_gap": "0", "sequence_error_rate": "99"})
        (found,) = over_tasks.over_methods({"sounds": rows})
        assert (found["methods"], found["seeds"], found["ρ of exposure gap and quality"]) == (
            "4",
            "3",
            "-0.80",
        )
        assert found["ρ without own words"] == "", "two methods have no order"
        rows += [
            {"method": method, "seed": seed, "exposure_gap": gap, "sequence_error_rate": error}
            for seed in "012"
            for method, gap, error in (("smoothing", "2", "2"), ("R-Drop", "4", "1.5"))
        ]
        (found,) = over_tasks.over_methods({"sounds": rows})
        gaps, errors = (3, 2.5, 2, 4), (1, 3, 2, 1.5)  # full, RAML, smoothing, R-Drop
        order = stats.spearmanr(gaps, errors)
        assert (found["methods"], found["ρ without own words"]) == ("6", f"{order.statistic:.2f}")
        assert found["its p"] == f"{order.pvalue:.3f}"


def test_what_changed_less_is_a_share_of_the_change_from_random_weights(tmp_path):
    """A literal ρ; nothing is said before all methods that feed other words were run."""
    from scipy import stats

    from experiments.exposure_bias import changed_less
    from experiments.exposure_bias.plan import TASKS
    from experiments.tables import write_csv

    random = np.random.default_rng(4)
    methods = [
        "full",
        *(name for name, each in TASKS["sentences-continued"].methods.items() if name != "full"),
    ]
    values = {}
    for task in ("sentences", "sentences-continued"):
        rows = [
            {
                "method": method,
                "seed": str(seed),
                "exposure_gap": f"{random.normal(3, 1):.3f}",
                "bleu": f"{random.normal(40, 2):.2f}",
            }
            for method in methods
            for seed in range(4)
        ]
        values[task] = {
            (method, key): np.mean([float(row[key]) for row in rows if row["method"] == method])
            for method in methods
            for key in ("exposure_gap", "bleu")
        }
        write_csv([row for row in rows if row["method"] != "uniform"], f"{task}_runs", tmp_path)
        assert changed_less.changes("sentences-continued", tmp_path) == {}
        write_csv(rows, f"{task}_runs", tmp_path)
    found = changed_less.changes("sentences-continued", tmp_path)
    rows, (together,) = changed_less.table(found, "sentences-continued"), changed_less.together(found)
    feeding = [row["method"] for row in rows]
    assert not {*feeding} & {"full", "smoothing", "RAML", "R-Drop", "self-critical", "constant-reward"}
    assert len(feeding) == 11
    before, here = (
        {key: value - each["full", key[1]] for key, value in each.items()} for each in values.values()
    )
    left = [here[method, "exposure_gap"] / before[method, "exposure_gap"] for method in feeding]
    less = [here[method, "bleu"] - before[method, "bleu"] for method in feeding]
    rho, p = stats.spearmanr(left, less)
    assert together == {"methods": "11", "ρ": f"{rho:.2f}", "p": f"{p:.3f}"}
    assert left == sorted(left)
    assert [float(row["left"]) for row in rows] == pytest.approx(left, abs=0.006)
    assert [float(row["bleu, part 4 less part 2"]) for row in rows] == pytest.approx(less, abs=0.006)


def test_the_overview_has_a_point_for_each_row_of_the_tables():
    from experiments.exposure_bias import overview
    from experiments.tables import read_csv

    places = {place.get_title(): place for place in overview.draw(overview.PANELS).axes}
    for title, task in (("sentences", "sentences"), ("spelling to sounds", "sounds")):
        rows = [row for row in read_csv(task, overview.STUDY) if row["method"] != "full"]
        points = [line for line in places[title].lines if line.get_marker() == "o"]
        assert len(points) == len(rows)
        for row, point in zip(rows, points, strict=True):
            mean, *_, last = row["difference from full"].split()
            assert float(point.get_xdata()[0]) == pytest.approx(float(mean), abs=0.005)
            assert (point.get_color() == overview.SEEN) == (last == "*"), row
    assert places["spelling to sounds"].xaxis_inverted(), "better is to the right"


def test_over_splits_each_split_is_one_value():
    """By SciPy; the sounds have one split."""
    from scipy import stats

    from experiments.exposure_bias import planned
    from experiments.exposure_bias.plan import TASKS

    random, task = np.random.default_rng(3), TASKS["sentences"]
    first, second = (dict(enumerate(random.normal(40, 2, size=5))) for _ in range(2))
    means = [[np.mean([its[0], its[3]]), np.mean([its[1], its[4]]), its[2]] for its in (first, second)]
    p = stats.ttest_rel(*means).pvalue
    assert planned.over_splits(first, second, task) == f"{p:.3f}"
    assert planned.over_splits(first, second, TASKS["sounds"]) == ""
