"""The page of conflicts: what each store does with events that contradict each other, from the table in code."""

from typing import Final

from payments_platform.documentation.markdown import table
from payments_platform.streaming.conflicts import CONFLICTS


def conflicts_page() -> str:
    """Each case with the rule of each store and the tests that show it."""
    rows = [
        (it.case, it.mongodb, it.elasticsearch, it.lake, ", ".join(_link(test) for test in it.shown_by))
        for it in CONFLICTS
    ]
    header = ("when", "MongoDB", "Elasticsearch", "lake", "shown by")
    return "\n".join(["# Conflicts", "", _LEAD, "", *table(header, rows)])


def _link(test: str) -> str:
    file, _, name = test.partition("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../assets_tests/{file})"


_LEAD: Final = (
    "What the stores of the speed layer do with events that come late, twice or in another order, or that disagree."
    " The higher position, (epoch, version, enrichment), wins everywhere"
    " ([decision](adr/0031-position-and-merges-in-the-stores.md))."
)
