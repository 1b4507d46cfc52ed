"""Rows, marks and packages: what would make the pages about them untrue is found."""

from pathlib import Path

import pytest

from payments_platform.commands.docs import (
    ROOT,
    TESTS,
    declared_packages,
    evidence,
    facts,
    linked,
    place,
    used_packages,
)
from payments_platform.documentation import packages
from payments_platform.documentation.coverage import Evidence, coverage_page, problems, roadmap_page, state
from payments_platform.documentation.marks import Mark, marks
from payments_platform.documentation.requirements import Requirements, Row

EVERYWHERE = "pytestmark = [pytest.mark.slow, pytest.mark.row('A1')]\n"
MARKED = """
import pytest
{everywhere}
@pytest.mark.row("B1", "B2")
@pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.row("B3"))])
def test_one(x): ...

def test_two(): ...

def no_test(): ...
"""


def known(**rows: Row) -> Requirements:
    """Rows of the sections A and B."""
    sections = {letter: {"title": letter, "chapter": "1"} for letter in "AB"}
    return Requirements.model_validate({"sections": sections, "rows": rows, "decisions": ()})


def found(marked: str = "", **rows: Row) -> list[str]:
    """The problems of some rows, one of which may have a test; only files called good exist."""
    names = [Mark(marked, "test_x.py", "test_x")] if marked else []
    return list(problems(Evidence(known(**rows), names), lambda name: name == "good"))


def test_every_row_is_shown_or_planned_and_every_mark_known() -> None:
    """A row that nobody shows and nobody plans is a promise that was forgotten."""
    graph = facts()
    assert list(problems(evidence(), lambda name: name in graph or place(name) is not None)) == []


@pytest.mark.parametrize(
    "marked, row, problem",
    [
        ("", Row(says="s", phase=1), "A1 has no test"),
        ("", Row(says="s", phase=1, missing="all of it"), "A1 has no test"),
        ("A1", Row(says="s", phase=1, where=("good",), planned="later"), "A1 has tests now"),
        ("A1", Row(says="s", phase=1, where=("bad",)), "A1: bad is neither a dataset nor a file"),
        ("A1", Row(says="s", phase=1), "A1 has tests and does not say `where` it is"),
        ("", Row(says="s", phase=1, missing="some", planned="later"), "A1 says both"),
        ("A2", Row(says="s", phase=1, planned="later"), "test_x.py: test_x is marked A2"),
    ],
)
def test_an_untrue_row_is_named(marked: str, row: Row, problem: str) -> None:
    assert [text for text in found(marked, A1=row) if text.startswith(problem)] != []


@pytest.mark.parametrize(
    "marked, row", [("A1", Row(says="s", phase=1, where=("good",))), ("", Row(says="s", phase=1, planned="x"))]
)
def test_a_true_row_is_no_problem(marked: str, row: Row) -> None:
    assert found(marked, A1=row) == []


def test_a_row_is_partly_shown_when_it_says_what_is_missing() -> None:
    rows = (Row(says="s", phase=1), Row(says="s", phase=1, missing="m"), Row(says="s", phase=1, planned="p"))
    assert [state(row) for row in rows] == ["shown", "partly", "planned"]


def test_a_row_outside_the_roadmap_is_refused() -> None:
    with pytest.raises(ValueError, match="phase"):
        Row.model_validate({"says": "s", "phase": 5})


def test_marks_are_found_on_functions_parameters_and_whole_modules(tmp_path: Path) -> None:
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit" / "test_a.py").write_text(MARKED.format(everywhere=EVERYWHERE), encoding="utf-8")
    (tmp_path / "test_b.py").write_text(MARKED.format(everywhere=""), encoding="utf-8")
    assert [(it.row, it.file, it.test) for it in marks(tmp_path)] == [
        ("A1", "unit/test_a.py", "test_one"),
        ("A1", "unit/test_a.py", "test_two"),
        *((row, file, "test_one") for row in ("B1", "B2", "B3") for file in ("test_b.py", "unit/test_a.py")),
    ]


def test_a_mark_that_cannot_be_read_without_running_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("@pytest.mark.row(ROWS)\ndef test_a(): ...\n", encoding="utf-8")
    with pytest.raises(TypeError, match=r"test_a.py:1: write the rows of a mark as plain strings"):
        marks(tmp_path)


def test_the_pages_show_every_row_with_its_state() -> None:
    read = evidence()
    page, roadmap = coverage_page(read, linked(facts())), roadmap_page(read.known)
    for id_, row in read.known.rows.items():
        assert f"| {id_} | {state(row)} |" in page
        assert (f"| {id_} | {state(row)} |" in roadmap) == (state(row) != "shown")


@pytest.mark.row("C2")
def test_the_page_of_packages_says_what_the_code_does() -> None:
    """A package that is named and not used is an advertisement."""
    assert list(packages.problems(used_packages(), declared_packages(), TESTS)) == []
    assert len(packages.PACKAGES) == 13


def test_a_package_counts_as_used_only_where_it_is(tmp_path: Path) -> None:
    lines = {"a.py": "from feast import Entity", "b.py": "import feastful", "c.py": "def f():\n    import feast.types"}
    for name, line in lines.items():
        (tmp_path / name).write_text(line, encoding="utf-8")
    feast = next(it for it in packages.PACKAGES if it.name == "feast")
    assert [path.name for path in packages.users(feast, sorted(tmp_path.iterdir()))] == ["a.py", "c.py"]


def test_a_package_that_is_claimed_and_not_used_is_named() -> None:
    used = used_packages()
    assert list(packages.problems({**used, "pandera": []}, declared_packages(), TESTS)) == [
        "pandera counts as used, and nothing imports or starts it"
    ]
    assert list(packages.problems({**used, "feast": [ROOT / "x.py"]}, declared_packages(), TESTS)) == [
        "feast is planned, and x.py uses it: say which test does"
    ]
