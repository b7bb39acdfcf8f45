"""A comparison trains what is missing, evaluates all alike, and says how sure it is."""

import json
from dataclasses import replace

import pytest
import torch

import pushforward as pf
from pushforward.errors import ConfigError, DataError, InterruptedRunError
from pushforward.runs.cases import Case
from pushforward.runs.compare import compare
from pushforward.runs.tables import ComparedRun, table

QUICK = {"steps": 5, "features": "pca", "progress": False}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    out = tmp_path_factory.mktemp("compared")
    return compare(["ae", "wae-mmd:weight=auto,latent_dim=2"], "digits", seeds=[0, 1], out=out, **QUICK)


def test_every_case_and_seed_is_there(found):
    assert [(one.case, one.seed) for one in found.runs] == [
        ("ae", 0), ("ae", 1), ("wae-mmd:weight=auto,latent_dim=2", 0), ("wae-mmd:weight=auto,latent_dim=2", 1)
    ]  # fmt: skip
    assert {one.run.step for one in found.runs} == {5}
    assert found.runs[2].run.config["arguments"] == {"latent_dim": 2, "weight": "auto"}
    assert len(json.loads((found.path / "comparison.json").read_text())) == 4


def test_a_table_has_means_intervals_and_the_train_reference(found):
    table = found.tables["digits"]
    assert [row[0].text for row in table.rows] == [
        "ae",
        "wae-mmd:weight=auto,latent_dim=2",
        "train reference",
    ]
    assert [row[1].text for row in table.rows] == ["2", "2", ""]
    column = table.head.index("FD")
    assert "±" in table.rows[0][column].text
    assert float(table.rows[2][column].text) > 0
    assert "features: pca" in table.note
    assert "sha256" in table.note
    assert "n = 359" in table.note
    assert "95 % interval over seeds" in table.note
    assert table.markdown().count("\n") == 4
    assert (found.path / "comparison.md").read_text().startswith("## digits\n\n| recipe | seeds |")


def test_what_is_finished_is_not_done_again(found):
    before = {one.run.path: (one.run.path / "evaluation.json").stat().st_mtime_ns for one in found.runs}
    again = compare(
        ["ae", "wae-mmd:weight=auto,latent_dim=2", "vae"], "digits", seeds=[0, 1], out=found.path, **QUICK
    )
    assert len(again.runs) == 6
    for path, time in before.items():
        assert (path / "evaluation.json").stat().st_mtime_ns == time
    more = compare(["ae"], "digits", seeds=[0], out=found.path, **{**QUICK, "features": "pixels"})
    assert more.runs[0].results["features"]["name"] == "pixels"


def test_runs_are_evaluated_as_they_are(found, trained, tmp_path):
    other = compare([trained, found.runs[0].run.path, str(found.runs[1].run.path)], out=tmp_path, **QUICK)
    assert [one.case for one in other.runs] == [
        "wae-mmd:latent_dim=4, 300 steps",
        "ae, 5 steps",
        "ae, 5 steps",
    ]
    assert [one.run.step for one in other.runs] == [300, 5, 5]


def test_a_case_goes_before_what_all_share(tmp_path):
    made = compare(["ae:latent_dim=3", "ae"], "digits", seeds=[0], latent_dim=2, out=tmp_path, **QUICK)
    assert [one.run.config["resolved"]["latent_dim"] for one in made.runs] == [3, 2]


@pytest.mark.slow
def test_several_data_sets(tmp_path, digits):
    """Two sets of one name are two tables."""
    fewer = replace(digits, test=digits.test.rows(torch.arange(100)))
    made = compare(["ae"], [digits, fewer], seeds=[0], out=tmp_path / "one", **{**QUICK, "overwrite": True})
    assert [name.split(" ")[0] for name in made.tables] == ["digits", "digits"]
    assert ["n = 359" in table.note for table in made.tables.values()] == [True, False]


def test_what_cannot_stand_in_one_table(trained):
    with pytest.raises(ConfigError, match="they differ in features"):
        table([fake("a", 0, 1.0, trained), replace(other := fake("a", 1, 1.0, trained), results={
            **other.results, "features": {**other.results["features"], "sha256": "1" * 64}})])  # fmt: skip
    with pytest.raises(ConfigError, match="a recipe is there twice with the same seed"):
        table([fake("a", 0, 1.0, trained), fake("a", 0, 2.0, trained)])


def fake(case, seed, error, tmp):
    results = {
        "n_samples": 9, "range": "[0, 1]",
        "features": {"name": "pca", "sha256": "0" * 64, "resize": "none", "dimensions": 3},
        "reconstruction": {"squared_error": {"value": error, "error": 0.1}},
    }  # fmt: skip
    return ComparedRun(case, "toy", seed, tmp, results)


def test_best_is_what_cannot_be_distinguished_from_the_best(trained):
    """Means 10, 10.1 and 20 with deviations of .1: the first two are best, the last is not."""
    runs = [
        fake(case, seed, middle + (seed - 1) / 10, trained)
        for case, middle in (("a", 10.0), ("b", 10.1), ("c", 20.0))
        for seed in range(3)
    ]
    rows = table(runs).rows
    column = table(runs).head.index("squared error")
    assert [row[column].best for row in rows] == [True, True, False, False]
    assert rows[0][column].text == "10.0 ± 0.2"  # t = 4.303, s/√3 = .0577


def test_a_wide_interval_at_the_best_tells_nobody_from_it(trained):
    """The best mean, 9 ± 12, cannot be distinguished from 10.0 ± 0.1, however narrow the latter is."""
    values = {"a": (9.95, 10.0, 10.05), "b": (4.0, 9.0, 14.0)}
    runs = [fake(case, seed, error, trained) for case in values for seed, error in enumerate(values[case])]
    column = table(runs).head.index("squared error")
    assert [row[column].best for row in table(runs).rows] == [True, True, False]


def test_columns_that_nobody_has_are_left_out(trained):
    assert table([fake("a", 0, 1.0, trained)]).head == ("recipe", "seeds", "squared error")


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("vae", {}),
        ("vae:weight=4", {"weight": 4}),
        ("wae-mmd:weight=auto,weight_init=100", {"weight": "auto", "weight_init": 100}),
        ("wae-gan:non_saturating=false,critic-lr=1e-4", {"non_saturating": False, "critic_lr": 1e-4}),
    ],
)
def test_cases(text, arguments):
    assert Case.parse(text).arguments == arguments


def test_bad_comparisons(tmp_path):
    with pytest.raises(ConfigError, match="at least one recipe or folder of a run"):
        compare([], "digits", out=tmp_path)
    with pytest.raises(ConfigError, match="'ae' is not the folder of a run; to train the recipe, give data"):
        compare(["ae"], out=tmp_path)
    with pytest.raises(ConfigError, match="seeds must differ from each other, got 0, 0"):
        compare(["ae"], "digits", seeds=[0, 0], out=tmp_path)
    with pytest.raises(ConfigError, match="ae has no option 'steps': known: "):
        compare(["ae:steps=9"], "digits", out=tmp_path)
    with pytest.raises(
        ConfigError, match=r"'wea' is neither a recipe nor the folder of a run: did you mean 'wae'"
    ):
        compare(["wea"], "digits", out=tmp_path)
    with pytest.raises(
        ConfigError, match=r"'ae:latent': expected recipe:name=value,name=value, found 'latent'"
    ):
        compare(["ae:latent"], "digits", out=tmp_path)
    with pytest.raises(ConfigError, match="unknown features 'pac': did you mean 'pca'"):
        compare(["ae"], "digits", out=tmp_path / "none", **{**QUICK, "features": "pac"})
    with pytest.raises(ConfigError, match="unknown metrics 'sample': did you mean 'samples'"):
        compare(["ae"], "digits", out=tmp_path / "none", metrics=["sample"], **QUICK)
    assert not (tmp_path / "none").exists()
    with pytest.raises(ConfigError, match="at least one seed"):
        compare(["ae"], "digits", seeds=[], out=tmp_path)
    with pytest.raises(DataError, match="no name of the catalogue"):
        compare(["ae"], "digitz", out=tmp_path, **QUICK)


def test_a_stopped_comparison_says_how_to_go_on(tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise InterruptedRunError("stopped at step 3; go on with: pushforward resume somewhere")

    monkeypatch.setattr("pushforward.runs.compare.train", stopped)
    with pytest.raises(InterruptedRunError, match="run the same comparison again to continue"):
        compare(["ae"], "digits", seeds=[0], out=tmp_path, **QUICK)


def test_on_the_command_line(figures, command, tmp_path):
    words = ("compare", "ae", "vae", "--data", "digits", "--seeds", 0, "--steps", 2, "--features", "pca")
    printed = figures(*words, "--out", tmp_path / "c")
    assert [one["case"] for one in printed] == ["ae", "vae"]
    code, out, _ = command(*words, "--out", tmp_path / "c")
    assert code == 0
    assert "train reference" in out
    assert "one seed" in out
    assert f"tables and report: {tmp_path / 'c'}" in out
    code, _, err = command("compare", "ae", "--out", tmp_path / "d")
    assert code == 78
    assert err.startswith("error: 'ae' is not the folder of a run")


def test_in_the_front_door():
    assert pf.compare is compare
