"""Generated pages: the same contracts give the same bytes, and the pages in the repository are the current ones."""

import pytest

from payments_platform.commands.docs import DOCS, pages
from payments_platform.contracts.catalogue import DATASETS
from payments_platform.contracts.pages import catalogue_page, table


@pytest.mark.parametrize("name", sorted(pages()))
def test_a_generated_page_is_up_to_date(name: str) -> None:
    """A page that lags behind its contract is worse than none: it is believed."""
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run: make docs"


def test_the_catalogue_names_every_dataset_column_and_rule() -> None:
    page = catalogue_page(DATASETS.values())
    for dataset in DATASETS.values():
        assert f"## {dataset.name}\n" in page
        assert [c.name for c in dataset.columns if f"| `{c.name}` |" not in page] == []
        assert [r.id for r in dataset.rules if f"| `{r.id}` |" not in page] == []


def test_a_bar_in_a_cell_does_not_start_another_cell() -> None:
    assert table(("a",), [("x|y",)])[-1] == "| x\\|y |"
