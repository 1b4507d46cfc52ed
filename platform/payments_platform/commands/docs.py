"""`payments docs`: writes the generated pages of docs/, so that no fact in them is typed by hand.

Belongs here: which pages there are, and where their facts are found. Does not: how a page reads (documentation/).
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from payments_platform.documentation.coverage import Evidence
    from payments_platform.documentation.lineage import AssetFacts

app = typer.Typer()
_err = Console(stderr=True, highlight=False)

ROOT = Path(__file__).resolve().parents[3]
DOCS, TESTS, PACKAGE = ROOT / "docs", ROOT / "assets_tests", ROOT / "platform" / "payments_platform"
_WRITTEN_BY = "<!-- Written by `make docs`; edit what it describes. -->\n\n"


def pages() -> dict[str, str]:
    """The generated pages: name below docs/ and content. Loads the definitions; reads no value of a setting."""
    from payments_platform.contracts.catalogue import DATASETS
    from payments_platform.documentation.catalogue import catalogue_page
    from payments_platform.documentation.conflicts import conflicts_page
    from payments_platform.documentation.coverage import coverage_page, roadmap_page
    from payments_platform.documentation.metrics_page import metrics_page
    from payments_platform.documentation.packages import packages_page
    from payments_platform.documentation.requirements import requirements_page
    from payments_platform.documentation.settings_page import settings_page

    found, graph = evidence(), facts()
    written = {
        "catalogue.md": catalogue_page(list(DATASETS.values()), graph),
        "conflicts.md": conflicts_page(),
        "coverage.md": coverage_page(found, linked(graph)),
        "metrics.md": metrics_page(),
        "packages.md": packages_page(used_packages(), ROOT),
        "requirements.md": requirements_page(found.known),
        "roadmap.md": roadmap_page(found.known),
        "settings.md": settings_page(),
    }
    return {name: f"{_WRITTEN_BY}{text.rstrip()}\n" for name, text in written.items()}


def evidence() -> "Evidence":
    """The requirements, and the marks of the tests."""
    from payments_platform.documentation.coverage import Evidence
    from payments_platform.documentation.marks import marks
    from payments_platform.documentation.requirements import read_requirements

    return Evidence(read_requirements(DOCS / "requirements.toml"), marks(TESTS))


def facts() -> "Mapping[str, AssetFacts]":
    """What the asset graph says of each dataset."""
    from payments_platform.definitions import defs
    from payments_platform.defs._platform.facts import asset_facts

    return asset_facts(defs)


def place(name: str) -> Path | None:
    """The file or folder that a row's place names, below the package or the root."""
    return next((base / name for base in (PACKAGE, ROOT) if (base / name).exists()), None)


def linked(graph: "Mapping[str, AssetFacts]") -> Callable[[str], str]:
    """How a row's place reads in a page of docs/: a dataset leads to the catalogue, a path to itself."""
    from payments_platform.documentation.catalogue import anchor

    def link(name: str) -> str:
        path = place(name)
        if name in graph:
            return f"[`{name}`](catalogue.md#{anchor(name)})"
        return f"[{name}](../{path.relative_to(ROOT).as_posix()})" if path else name

    return link


def used_packages() -> dict[str, Sequence[Path]]:
    """The files that use each of the thirteen packages, the Makefile among them."""
    from payments_platform.documentation.packages import PACKAGES, users

    # The list names every package without using one.
    code = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "packages.py"]
    files = [*code, ROOT / "Makefile"]
    tests = sorted(TESTS.rglob("*.py"))
    return {it.name: users(it, tests if it.module == "pytest" else files) for it in PACKAGES}


def declared_packages() -> set[str]:
    """Names in pyproject.toml, without bounds and extras; those of the developers' group too."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = [*read["project"]["dependencies"], *read["dependency-groups"]["dev"]]
    return {line.partition(">")[0].partition("[")[0].strip() for line in lines}


@app.command()
def docs(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; end with 1 if a page is out of date.")] = False,
) -> None:
    """Write the generated pages of docs/: catalogue, conflicts, coverage, metrics, packages, requirements and more."""
    stale = {name: text for name, text in pages().items() if not _holds(DOCS / name, text)}
    for name, text in stale.items():
        if not check:
            (DOCS / name).write_text(text, encoding="utf-8")
        _err.print(f"docs/{name} {'is out of date' if check else 'written'}", markup=False)
    if not stale:
        _err.print("all generated pages are up to date")
    elif check:
        _err.print("Next: make docs")
        raise typer.Exit(1)


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text
