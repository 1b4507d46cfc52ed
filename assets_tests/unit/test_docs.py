"""Generated pages: the same facts give the same bytes, and the pages in the repository are the current ones."""

from dataclasses import replace

import pytest

from payments_platform.commands.docs import DOCS, facts, pages
from payments_platform.contracts.catalogue import DATASETS
from payments_platform.documentation.catalogue import catalogue_page, section
from payments_platform.documentation.lineage import AssetFacts, upstream, upstream_diagram, zones_diagram
from payments_platform.documentation.markdown import NOTHING, code, table

NAMES = tuple(
    f"{name}.md" for name in "catalogue conflicts coverage metrics packages requirements roadmap settings".split()
)
SMALL = {
    "raw/a": AssetFacts((), ("team-a",), "03:30 UTC of the next day"),
    "clean/a": AssetFacts(("raw/a",), ("team-a",), "03:30 UTC of the next day"),
    "clean/b": AssetFacts(("raw/a",), ("team-a",), "03:30 UTC of the next day"),
    "curated/a": AssetFacts(("clean/a",), ("team-b",), "03:30 UTC of the next day"),
}


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return pages()


@pytest.mark.row("D5", "C7")
@pytest.mark.parametrize("name", NAMES)
def test_a_generated_page_is_up_to_date(written: dict[str, str], name: str) -> None:
    """A page that lags behind its contract is worse than none: it is believed."""
    assert (DOCS / name).read_text(encoding="utf-8") == written[name], "run: make docs"


def test_every_generated_page_is_looked_at(written: dict[str, str]) -> None:
    assert sorted(written) == list(NAMES)


@pytest.mark.row("C4")
def test_the_catalogue_names_every_dataset_column_rule_owner_and_relation() -> None:
    known = facts()
    page = catalogue_page(list(DATASETS.values()), known)
    for dataset in DATASETS.values():
        assert f"## {dataset.name}\n" in page
        own = section(dataset, known[dataset.name], ())
        assert [c.name for c in dataset.columns if f"| `{c.name}` |" not in own] == []
        assert [r.id for r in dataset.rules if f"| `{r.id}` |" not in own] == []
        assert [read for read in known[dataset.name].reads if f"`{read}`" not in own] == []
        assert f"| owner | {known[dataset.name].owners[0]} |" in own
        assert known[dataset.name].used_by in own


def test_a_person_can_be_erased_from_what_the_catalogue_lists() -> None:
    """A dataset that the list forgets keeps its people for ever."""
    page = catalogue_page(list(DATASETS.values()), {})
    listed = page.split("## What erasure visits")[1].split("\n## ")[0]
    personal = {it.name for it in DATASETS.values() if any(column.pii.value != "none" for column in it.columns)}
    assert {it for it in DATASETS if f"[`{it}`]" in listed} == personal


def test_a_diagram_shows_each_zone_once_and_each_relation_between_zones() -> None:
    diagram = zones_diagram(SMALL)
    assert [line.strip() for line in diagram if "-->" in line] == ["clean --> curated", "raw --> clean"]
    assert any('clean["clean<br/>2 datasets"]' in line for line in diagram)


def test_a_way_through_the_zones_holds_what_was_read_and_nothing_else() -> None:
    assert upstream(SMALL, "curated/a") == {"clean/a", "raw/a"}
    arrows = [line.strip() for line in upstream_diagram(SMALL, "curated/a") if "-->" in line]
    assert arrows == ["clean_a --> curated_a", "raw_a --> clean_a"]


def test_an_asset_reads_what_the_graph_says() -> None:
    """Spot checks against the way data is known to walk: an empty graph would pass every other test here."""
    known = facts()
    assert known["clean/transactions"].reads == ("quarantine/repairs", "raw/transactions")
    assert known["curated/transactions"] != replace(known["curated/transactions"], reads=())
    assert known["clean/transactions"].due == "03:30 UTC of the next day"


def test_a_bar_in_a_cell_does_not_start_another_cell() -> None:
    assert table(("a",), [("x|y",)])[-1] == "| x\\|y |"


def test_nothing_to_show_is_shown_as_nothing() -> None:
    assert code(()) == NOTHING
