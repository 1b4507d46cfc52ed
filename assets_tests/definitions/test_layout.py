"""The shape of the repository: rooms, charters, sizes, decision pages.

Belongs here: what a person relies on to find a file. Does not: what code may say (test_house_rules) or import
(test_dependencies).
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "platform" / "payments_platform"
MODULES = sorted(PACKAGE.rglob("*.py"))
INITS = [path for path in MODULES if path.name == "__init__.py"]
CODE = [path for path in MODULES if path.name != "__init__.py"]
TESTS = sorted((ROOT / "assets_tests").rglob("*.py"))
ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))

ROOMS = {
    "batch", "clients", "commands", "contracts", "defs", "documentation", "documents", "features", "fraud", "lake",
    "local", "oltp", "operations", "privacy", "search", "serving", "streaming", "warehouse",
}  # fmt: skip
# Directories that a room may hold code in without it being a package of ours: Alembic loads its revisions by path.
GENERATED_NAMES = re.compile(r"/migrations/")
MEANINGLESS = re.compile(r"(^|_)(utils?|helpers?|common|misc|managers?|process_data)(_|\.|$)")


def name(path: Path) -> str:
    """Test id: the path from the repository's root."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.row("C3")
def test_the_top_level_is_where_people_look_for_it() -> None:
    wanted = [
        "platform",
        "dbt",
        "assets_tests",
        "workspace.yaml",
        "dagster.yaml",
        "pyproject.toml",
        "Makefile",
        "README.md",
    ]
    community = ["LICENSE", "NOTICE", "CHANGELOG.md", "CONTRIBUTING.md", ".env.example", ".editorconfig", ".ci/run"]
    assert [path for path in (*wanted, *community) if not (ROOT / path).exists()] == []


def test_the_source_root_is_no_package() -> None:
    """A package called `platform` would shadow the standard library's module for every program started here."""
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_the_warehouse_project_holds_no_python() -> None:
    """Python to the lake, SQL in the warehouse: a Python model would run logic where no test of ours reaches."""
    built = {ROOT / "dbt" / folder for folder in ("target", "logs", "dbt_packages")}
    assert [p for p in (ROOT / "dbt").rglob("*.py") if not built & set(p.parents)] == []


def test_every_room_is_known_and_is_a_package() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms <= ROOMS, (
        f"new room: {rooms - ROOMS}; add it here, to docs/adr/0001 and to the layers in pyproject.toml"
    )
    folders = {path.parent for path in CODE if not GENERATED_NAMES.search(path.as_posix())}
    assert [name(f) for f in sorted(folders) if not (f / "__init__.py").exists()] == []


@pytest.mark.parametrize("path", INITS, ids=name)
def test_a_package_file_says_what_belongs_there_and_nothing_else(path: Path) -> None:
    """Re-exports give every name two addresses and import half the package to reach one function."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


@pytest.mark.parametrize("path", CODE + TESTS, ids=name)
def test_a_module_opens_with_a_short_charter(path: Path) -> None:
    charter = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert charter, "say in at most six lines what belongs in this module and what does not"
    assert len(charter.splitlines()) <= 6


@pytest.mark.parametrize("path", CODE + TESTS, ids=name)
def test_a_module_fits_in_one_head(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", CODE, ids=name)
def test_a_module_is_named_for_what_it_does(path: Path) -> None:
    assert not MEANINGLESS.search(path.name)


@pytest.mark.row("D3")
def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    assert [int(path.name[:4]) for path in ADRS] == list(range(1, len(ADRS) + 1))
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in ADRS if f"({path.name})" not in index] == []


@pytest.mark.row("D3")
@pytest.mark.parametrize("path", ADRS, ids=name)
def test_a_decision_fits_on_a_page_with_its_four_parts(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Status", "Context", "Decision", "Consequences"]
    assert len(text.split()) <= 500
