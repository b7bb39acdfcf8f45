"""The pages of metrics name all that the code names, with its thresholds."""

import ast
import re
from pathlib import Path

import pytest

from pushforward import evaluation
from pushforward.evaluation import critics, diagnosis, grades, shortfalls, symptoms
from pushforward.evaluation.registry import METRICS

ROOT = Path(__file__).parents[2]
METRIC_PAGES = ROOT / "docs" / "metrics"


def rows(page, heading):
    """The cells of the table rows below a heading, without the table's own head."""
    section = re.split(rf"^## {re.escape(heading)}$", page.read_text(), flags=re.MULTILINE)[1]
    section = re.split(r"^## ", section, flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    # A bar inside code or a formula is written with a backslash.
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_table_has_every_metric_once():
    named = [spec.name for group in METRICS.values() for spec in group.specs]
    assert [row[0] for row in rows(METRIC_PAGES / "index.md", "All metrics")] == named


def test_every_metric_is_explained_on_the_page_that_the_table_names():
    for name, _, _, _, link in rows(METRIC_PAGES / "index.md", "All metrics"):
        page = re.search(r"\]\((.+)\)", link)[1]
        assert name in (METRIC_PAGES / page).read_text(), f"{page} does not name {name}"


def test_the_table_has_every_group():
    found = {row[0].strip("`"): row[1] for row in rows(METRIC_PAGES / "index.md", "Groups")}
    assert found == {name: "yes" if group.default else "no" for name, group in METRICS.items()}


def causes():
    """The names of all findings, from the code."""
    found = []
    for path in Path(evaluation.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            place = {"Finding": 0, "_train_longer": 1}.get(node.func.id)
            if place is not None and isinstance(name := node.args[place], ast.Constant):
                found.append(name.value)
    return found


def explained():
    """The causes that the page explains, with what it says of each."""
    headings = ("The run and its data", "Codes and the prior", "Decoder, generator and budget")
    return {row[0]: row for heading in headings for row in rows(METRIC_PAGES / "diagnoses.md", heading)}


def test_the_page_of_diagnoses_has_every_cause():
    assert set(explained()) == set(causes())
    assert len(set(causes())) >= 17


def percent(share):
    return f"{share:.0%}".replace("%", " %")


@pytest.mark.parametrize(
    ("cause", "numbers"),
    [
        ("scale of the data", [f"{symptoms.FAR_OFF:g} standard deviations", "0.05 to 20", "below 0.01"]),
        (
            "too few steps",
            [
                str(symptoms.FEW_STEPS),
                percent(symptoms.STILL_FALLING),
                percent(shortfalls.STILL_LEARNING),
            ],
        ),
        ("overfitting", [f"{symptoms.OVERFIT:g} times", percent(symptoms.SMALL)]),
        ("copies of training lines", [percent(grades.FEW_COPIES)]),
        ("kernel bandwidth too small", [f"{symptoms.BLIND:g} null", percent(symptoms.FAINT), "0.1"]),
        ("critic saturated", [percent(critics.SURE)]),
        (
            "aggregate posterior does not match the prior",
            [f"at least {symptoms.FAR:g}", f"{diagnosis.AGREE:g} of the prior"],
        ),
        (
            "weight too large",
            [
                f"below {symptoms.FAR:g}",
                percent(symptoms.WORSE),
                percent(symptoms.SMALL),
                f"{symptoms.OWN:g} times",
            ],
        ),
        ("holes", [percent(symptoms.HOLLOW)]),
        ("draws of the prior unlike codes", [percent(shortfalls.NEARER)]),
        ("mode collapse", [percent(grades.FAIR_MODES), percent(symptoms.ALIKE), percent(symptoms.POOR)]),
        ("latent space too small", [percent(shortfalls.NARROW), percent(1 - shortfalls.WIDER)]),
    ],
)  # fmt: skip
def test_thresholds_are_those_of_the_code(cause, numbers):
    seen = explained()[cause][1]
    assert [number for number in numbers if number not in seen] == []


def test_grades_are_those_of_the_code():
    table = rows(METRIC_PAGES / "summary.md", "What good, fair and poor mean")
    limits = [[float(re.search(r"[\d.]+$", cell)[0]) for cell in row[1:3]] for row in table]
    g = grades
    assert limits == [
        [g.GOOD_SHARE, g.FAIR_SHARE],
        [g.SHARP, g.BLURRED],
        [g.HARD_TO_TELL, g.EASY_TO_TELL],
        [g.LARGE_ERROR, g.HUGE_ERROR],
        [g.NEAR, g.FAR],
        [g.GOOD_COVERAGE, g.FAIR_COVERAGE],
        [g.GOOD_MODES, g.FAIR_MODES],
        [g.GOOD_SHARE, g.FAIR_SHARE],
        [g.FLUENT, g.CLUMSY],
        [g.FEW_COPIES, g.MANY_COPIES],
        [g.CLOSE_COLUMNS, g.FAR_COLUMNS],
        [g.HARD_FOR_TREES, g.EASY_FOR_TREES],
    ]
