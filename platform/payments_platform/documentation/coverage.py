"""The page that says of each row what shows it, and what is not shown; and the roadmap, which is the same by phase.

Belongs here: the state of a row, and what makes the pages untrue. Does not: the rows (requirements.py), marks
(marks.py).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from payments_platform.documentation.markdown import NOTHING, table
from payments_platform.documentation.marks import Mark
from payments_platform.documentation.requirements import Phase, Requirements, Row

State = Literal["shown", "partly", "planned"]
STATES: Final[tuple[State, ...]] = ("shown", "partly", "planned")
PHASES: Final[Mapping[Phase, str]] = {
    1: "change streams and batch (months 1 to 2)",
    2: "document stores and feature store (months 3 to 4)",
    3: "fraud model in production, with A/B tests (months 5 to 6)",
    4: "operation, cloud and scale (from month 6)",
}


@dataclass(frozen=True)
class Evidence:
    """The rows and the tests that name them."""

    known: Requirements
    marks: Sequence[Mark]

    def files(self, id_: str) -> Counter[str]:
        """The files with tests of a row, and how many tests each."""
        return Counter(mark.file for mark in self.marks if mark.row == id_)


def state(row: Row) -> State:
    """Shown unless the row says otherwise; ``problems`` finds the row that says it wrongly."""
    if row.planned:
        return "planned"
    return "partly" if row.missing else "shown"


def problems(evidence: Evidence, exists: Callable[[str], bool]) -> Iterator[str]:
    """What makes the pages untrue, each as a sentence that says what to do. ``exists`` knows datasets and paths."""
    rows = evidence.known.rows
    for mark in evidence.marks:
        if mark.row not in rows:
            yield f"{mark.file}: {mark.test} is marked {mark.row}, which docs/requirements.toml does not know"
    for id_, row in rows.items():
        if id_[0] not in evidence.known.sections:
            yield f"{id_}: no section {id_[0]}"
        tested = bool(evidence.files(id_))
        if tested and row.planned:
            yield f"{id_} has tests now: replace `planned` by `where`, and by `missing` if they show it in part"
        if not tested and not row.planned:
            yield f"{id_} has no test: mark one with @pytest.mark.row({id_!r}), or say in `planned` what will bring it"
        if row.missing and row.planned:
            yield f"{id_} says both `missing` and `planned`"
        if tested and not row.where:
            yield f"{id_} has tests and does not say `where` it is"
        yield from (f"{id_}: {place} is neither a dataset nor a file" for place in row.where if not exists(place))


def coverage_page(evidence: Evidence, link: Callable[[str], str]) -> str:
    """All rows with their state, places and tests. ``link`` turns a dataset or path into Markdown."""
    lines = ["# Coverage", "", *_LEAD, "", *_totals(evidence.known), ""]
    for letter, section in evidence.known.sections.items():
        rows = [
            (id_, state(row), _remark(row), ", ".join(map(link, row.where)) or NOTHING, _tests(evidence.files(id_)))
            for id_, row in evidence.known.of_section(letter).items()
        ]
        header = ("row", "state", "what is not shown yet", "where", "tests")
        lines += [f"## {letter}. {section.title}", "", *table(header, rows), ""]
    return "\n".join(lines)


def roadmap_page(known: Requirements) -> str:
    """The four phases: how far each is, and what it still brings."""
    lines = ["# Roadmap", "", *_ROADMAP, ""]
    for phase, title in PHASES.items():
        rows = {id_: row for id_, row in known.rows.items() if row.phase == phase}
        counted = Counter(state(row) for row in rows.values())
        counts = ", ".join(f"{counted[it]} {it}" for it in STATES)
        open_rows = [(id_, state(row), _remark(row)) for id_, row in rows.items() if state(row) != "shown"]
        lines += [f"## Phase {phase}: {title}", "", f"{len(rows)} rows: {counts}.", ""]
        lines += [*table(("row", "state", "what it still brings"), open_rows), ""]
    return "\n".join(lines)


def _totals(known: Requirements) -> list[str]:
    counted = Counter(state(row) for row in known.rows.values())
    rows = [(it, str(counted[it]), _MEANINGS[it]) for it in STATES]
    return table(("state", "rows", "meaning"), rows)


def _remark(row: Row) -> str:
    return row.missing or row.planned or NOTHING


def _tests(files: Mapping[str, int]) -> str:
    links = (f"[{file}](../assets_tests/{file}) ({count})" for file, count in sorted(files.items()))
    return ", ".join(links) or NOTHING


_LEAD = (
    "Which [requirement](requirements.md) is shown, where, and by which tests; the number behind a file counts its",
    "tests of that row. A row counts as shown when tests show all that it says; the rest stands beside it.",
)
_MEANINGS: Final[Mapping[State, str]] = {
    "shown": "tests show what the row says",
    "partly": "tests show a part; the rest is named",
    "planned": "no test shows it yet; what will bring it is named",
}
_ROADMAP = (
    "Four phases, as the design document plans them, and how far each is. Rows that are shown are in",
    "[coverage.md](coverage.md); what [requirements.md](requirements.md) says of the others is still to come.",
)
