"""The thirteen packages that the platform is built on, and where each is used: found in the code, not claimed.

Belongs here: the list, and finding imports and started programs. Does not: versions and bounds (pyproject.toml).
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from payments_platform.documentation.markdown import NOTHING, table


@dataclass(frozen=True)
class Package:
    """A package: the module that one imports, what it is for, the test that uses it, or what will bring it.

    ``started`` is the text by which a file starts its program, where that is how it is used.
    """

    name: str
    module: str
    purpose: str
    test: str = ""
    planned: str = ""
    started: str = ""


PACKAGES: Final = (
    Package("dagster", "dagster", "assets, checks, partitions, jobs, sensors", "assets/test_whole_day.py"),
    Package(
        "dagster-webserver",
        "dagster_webserver",
        "the asset graph in a browser",
        "integration/test_stack_pages.py",
        started='"dagster-webserver"',
    ),
    Package("dagster-aws", "dagster_aws", "the lake on S3, runs on ECS", planned="the lake on S3"),
    Package("dagster-snowflake", "dagster_snowflake", "the warehouse in production", planned="landing on Snowflake"),
    Package(
        "dagster-dbt", "dagster_dbt", "models as assets, their tests as checks", "integration/test_error_classes_dbt.py"
    ),
    Package("dagster-pyspark", "dagster_pyspark", "days that outgrow a machine", planned="the batch on EMR"),
    Package("dagster-mlflow", "dagster_mlflow", "runs and models in MLflow", planned="training (phase 3)"),
    Package("dbt-core", "dbt", "the star schema in SQL", "unit/test_dbt_project.py", started="$(VENV)/dbt "),
    Package("pandera", "pandera", "contracts as schemas; every check of values", "unit/test_contracts_pandera.py"),
    Package("pymongo", "pymongo", "documents of payments", "contracts/test_sinks.py"),
    Package("elasticsearch", "elasticsearch", "search in payments", "contracts/test_sinks.py"),
    Package("feast", "feast", "features, offline and online", planned="the feature store (phase 2)"),
    Package("pytest", "pytest", "every test", "conftest.py"),
)


@cache
def imported(path: Path) -> frozenset[str]:
    """Top-level names of everything that a module imports, inside functions too."""
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return frozenset(found)


def users(package: Package, files: Sequence[Path]) -> list[Path]:
    """The files that use a package: Python that imports it, or any of them that starts its program by name."""
    return [path for path in files if _imports(path, package.module) or _starts(path, package.started)]


def problems(used: Mapping[str, Sequence[Path]], declared: set[str], tests: Path) -> Iterator[str]:
    """What makes the page untrue, each as a sentence."""
    for package in PACKAGES:
        if package.planned and used[package.name]:
            yield f"{package.name} is planned, and {used[package.name][0].name} uses it: say which test does"
        if package.planned:
            continue
        if not used[package.name]:
            yield f"{package.name} counts as used, and nothing imports or starts it"
        if package.name not in declared:
            yield f"{package.name} counts as used, and pyproject.toml does not declare it"
        if not package.test or not (tests / package.test).exists():
            yield f"{package.name}: there is no test {package.test!r}"


def packages_page(used: Mapping[str, Sequence[Path]], root: Path) -> str:
    """Each package with its purpose, a few of the files that use it, and its test."""
    rows = [
        (
            f"`{it.name}`",
            it.purpose,
            _files(used[it.name], root),
            _test(it),
            f"planned: {it.planned}" if it.planned else "used",
        )
        for it in PACKAGES
    ]
    header = ("package", "for", "used by", "tested by", "state")
    return "\n".join(["# Packages", "", _LEAD, "", *table(header, rows)])


def _imports(path: Path, module: str) -> bool:
    return path.suffix == ".py" and module in imported(path)


def _starts(path: Path, program: str) -> bool:
    return bool(program) and program in path.read_text(encoding="utf-8")


def _files(paths: Sequence[Path], root: Path) -> str:
    """Links to a few files, the shortest first: they are where a reader should begin."""
    shown = sorted(paths, key=lambda path: (len(path.parts), path))[:3]
    links = [f"[{path.name}](../{path.relative_to(root).as_posix()})" for path in shown]
    return ", ".join([*links, *(["and others"] if len(paths) > len(shown) else [])]) or NOTHING


def _test(package: Package) -> str:
    return f"[{package.test}](../assets_tests/{package.test})" if package.test else NOTHING


_LEAD: Final = (
    "What the platform is built on (row C2 of the [requirements](requirements.md)); users are found in the code."
)
