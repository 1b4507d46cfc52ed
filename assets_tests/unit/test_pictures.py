"""Pictures and notebooks of docs/: they are there, they are used, they ran, and they can be made again."""

import base64
import json
import re
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from assets_tests.fakes.warehouse import WarehouseBox
from payments_platform.commands.docs import DOCS, ROOT, facts
from payments_platform.commands.pictures import IMAGES, NOTEBOOKS
from payments_platform.contracts.catalogue import of_zone
from payments_platform.contracts.sample import sample
from payments_platform.documentation import pictures
from payments_platform.documentation.notebooks import stripped

NAMES = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
PAGES = [ROOT / "README.md", *DOCS.rglob("*.md")]


def notebook(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))
    return read


def code(name: str) -> list[dict[str, Any]]:
    return [cell for cell in notebook(name)["cells"] if cell["cell_type"] == "code"]


def test_every_picture_is_there_small_and_used() -> None:
    """A clone is what everyone waits for; a picture that no page shows is weight."""
    files = {path.name: path.stat().st_size for path in IMAGES.iterdir()}
    assert set(files) == {f"{it.name}.png" for it in pictures.PICTURES}
    assert sum(files.values()) < 1_500_000
    shown = {name for page in PAGES for name in re.findall(r"images/([\w-]+\.png)\)", page.read_text(encoding="utf-8"))}
    assert set(files) == shown


def test_every_picture_says_in_words_what_it_shows() -> None:
    """Who cannot see a picture reads its text."""
    images = [found for page in PAGES for found in re.findall(r"!\[([^\]]*)\]\(", page.read_text(encoding="utf-8"))]
    assert images
    assert [text for text in images if len(text) < 20] == []


def test_the_graph_is_asked_for_datasets_that_exist() -> None:
    asked = {name for it in pictures.PICTURES for name in re.findall(r'key:"([\w/]+)"', unquote(it.path))}
    assert asked
    assert asked - set(facts()) == set()


def test_without_a_browser_the_message_says_what_installs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pictures.BrowserMissing, match="apt-get install -y chromium"):
        pictures.browser()


def test_an_unknown_picture_is_refused_and_the_known_ones_are_named() -> None:
    assert pictures.named([]) == list(pictures.PICTURES)
    with pytest.raises(KeyError, match=r"no picture x; there are lineage"):
        pictures.named(["lineage", "x"])


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_ran_from_first_cell_to_last(name: str) -> None:
    """Cells run in another order show what nobody can repeat."""
    cells = code(name)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert [output for output in outputs if output["output_type"] in {"error", "stream"}] == []
    pictured = [base64.b64decode(it["data"]["image/png"]) for it in outputs if "image/png" in it.get("data", {})]
    assert len(pictured) >= 3
    assert all(picture.startswith(b"\x89PNG") for picture in pictured)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_small_and_tells_nothing_of_a_machine_or_a_person(name: str) -> None:
    text = (NOTEBOOKS / name).read_text(encoding="utf-8")
    assert len(text) < 400_000
    assert notebook(name)["metadata"]["language_info"] == {"name": "python"}
    outputs = json.dumps([cell["outputs"] for cell in code(name)])
    plain = re.sub(r'"image/png": "[^"]*"', "", outputs)
    assert re.findall(r"tok_\w+|cus_\w+|[\w.]+@[\w.]+|0x[0-9a-f]{6,}", plain) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_cells_of_a_notebook_run_on_the_marts_of_today(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column that is renamed breaks the notebook here and not in front of a reader."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    box = WarehouseBox(tmp_path)
    for landing in of_zone("landing"):
        box.land(landing, date(2025, 1, 1), sample(landing, 4))
    box.dbt("run")
    monkeypatch.setenv("PAYMENTS_WAREHOUSE_PATH", str(box.path))
    mpl.use("Agg")
    names: dict[str, Any] = {}
    for cell in code(name):
        exec("".join(cell["source"]), names)  # noqa: S102 - the cells of our own notebook
    assert names["both"]["in_aggregate"].item() == names["both"]["in_facts"].item()
    plt.close("all")


def test_what_names_a_machine_is_stripped() -> None:
    output = {
        "metadata": {"x": 1},
        "data": {"image/png": "…", "text/plain": "<Figure at 0x7f00deadbeef>"},
    }
    made: dict[str, Any] = {
        "metadata": {"kernelspec": {"name": "mine"}},
        "cells": [{"metadata": {"execution": 1}, "outputs": [output]}],
    }
    stripped(made)
    assert made["cells"] == [{"metadata": {}, "outputs": [{"metadata": {}, "data": {"image/png": "…"}}]}]
    assert made["metadata"]["kernelspec"]["name"] == "python3"
