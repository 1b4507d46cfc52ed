"""The requirements: rows of docs/requirements.toml, and the page that shows them.

Belongs here: what a row is, reading the file, how rows read to a person. Does not: tests (marks.py), states
(coverage.py).
"""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from payments_platform.documentation.markdown import table

Phase = Literal[1, 2, 3, 4]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_min_length=1)


class Section(_Strict):
    """A group of rows that share the first letter of their ids, and the chapter of the design document."""

    title: str
    chapter: str


class Row(_Strict):
    """One requirement. The file says what each field means."""

    says: str
    phase: Phase
    chapter: str | None = None
    where: tuple[str, ...] = ()
    missing: str | None = None
    planned: str | None = None


class Decision(_Strict):
    """A contradiction in the design document, and what was decided."""

    problem: str
    decision: str


class Requirements(_Strict):
    """Everything that the file holds. Building it refuses unknown fields, empty texts, unknown phases."""

    sections: dict[str, Section]
    rows: dict[str, Row]
    decisions: tuple[Decision, ...]

    def of_section(self, letter: str) -> dict[str, Row]:
        """The rows of a section, in the order of the file."""
        return {id_: row for id_, row in self.rows.items() if id_.startswith(letter)}

    def chapter(self, id_: str) -> str:
        """The chapter that a row comes from: its own, or its section's."""
        return self.rows[id_].chapter or self.sections[id_[0]].chapter


def read_requirements(path: Path) -> Requirements:
    """Read the rows. Raises ValidationError, which names the row and the field, for a file that cannot be used."""
    return Requirements.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))


def requirements_page(known: Requirements) -> str:
    """All rows by section, and the decisions."""
    lines = ["# Requirements", "", *_LEAD, ""]
    for letter, section in known.sections.items():
        rows = [(id_, row.says, known.chapter(id_)) for id_, row in known.of_section(letter).items()]
        lines += [f"## {letter}. {section.title}", "", *table(("row", "what must hold", "chapter"), rows), ""]
    decisions = [(str(n), it.problem, it.decision) for n, it in enumerate(known.decisions, 1)]
    lines += ["## Contradictions, decided", "", _CONTRADICTIONS, ""]
    return "\n".join([*lines, *table(("", "the document says", "decided"), decisions)])


_LEAD = (
    "What the platform has to do, row by row. Most rows come from two texts: a card that names the kind of platform,",
    "its packages and its layout, and a design document of twelve chapters on the pipelines of a payment company.",
    "Where the two differ, the card wins; Airflow in the document is Dagster here. Figures are the document's targets.",
    "[coverage.md](coverage.md) says which row is shown, by which test; [roadmap.md](roadmap.md) what comes next.",
)
_CONTRADICTIONS = "Where the design document contradicts itself or what it builds on:"
