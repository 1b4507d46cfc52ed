"""What no file of the repository may say: foreign paths, hosts in pins, hidden settings, wall clocks, dead commands.

Belongs here: rules that a linter has no word for, or that hold across file types. Does not: style (ruff), layers
(import-linter), shape (test_layout).
"""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "platform" / "payments_platform"
MODULES = sorted(PACKAGE.rglob("*.py"))
PURE = [
    p for p in MODULES if p.relative_to(PACKAGE).parts[0] in {"contracts", "batch", "lake", "money.py", "vocabulary.py"}
]
TOP_PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
PAGES = sorted([*TOP_PAGES, *(ROOT / "docs").rglob("*.md")])

# Written so that no pattern matches its own line.
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(work|root|home/[a-z]\w*|tm[p]|Users/\w+)/")
POINTER = re.compile(
    r"\bissues? #?\d+\b|\bhel[p]er\b|sh[a]red/(design|spec)|architecture\.m[d]|field-note[s]", re.IGNORECASE
)
URL = re.compile(r"https?:|git\+|file:|--(extra-)?index-url|--find-links|\bregistry\b")


def name(path: Path) -> str:
    """Test id: the path from the repository's root."""
    return path.relative_to(ROOT).as_posix()


def tracked() -> list[Path]:
    """The text files that a clone would hold; all files of a copied tree that has no git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    paths = [ROOT / raw.decode() for raw in listed.stdout.split(b"\0") if raw]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8000]]


def lines_matching(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """`path:line: text` of every line that the pattern finds."""
    return [
        f"{name(path)}:{number}: {line.strip()[:120]}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def calls(path: Path) -> Iterator[ast.Call]:
    """Every call in a module."""
    return (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))


def test_no_file_names_a_path_of_one_machine() -> None:
    """A path that exists on one machine alone makes every other one fail, or worse, write somewhere unexpected."""
    assert lines_matching(MACHINE_PATH, tracked()) == []


def test_no_file_points_outside_the_repository() -> None:
    """What the code needs is written in its own documents: a pointer that a reader cannot follow is noise."""
    assert lines_matching(POINTER, tracked()) == []


def test_the_lock_names_no_host() -> None:
    """A host in a pin file breaks every installation behind a mirror."""
    pins = [path for path in tracked() if re.search(r"(requirements.*|constraints.*)\.(lock|txt)$", path.name)]
    assert ROOT / "requirements.lock" in pins
    assert lines_matching(URL, pins) == []


def test_every_locked_package_is_hashed() -> None:
    """A version without its hash can be swapped on the way."""
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements.lock").read_text(encoding="utf-8"), flags=re.IGNORECASE)
    pinned = [entry for entry in entries if "==" in entry.splitlines()[0]]
    assert len(pinned) > 50
    assert [entry.split("==")[0] for entry in pinned if "--hash=sha256:" not in entry] == []


def test_an_upper_bound_says_why() -> None:
    """A bound without its reason and exit stays for ever."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    bare, explained = [], False
    for line in lines:
        text = line.strip()
        capped = bool(re.match(r'"[a-z].*<', text)) or text.startswith("requires-python")
        if capped and not explained:
            bare.append(text)
        explained = text.startswith("#") or (explained and capped)
    assert bare == []


@pytest.mark.parametrize("path", [p for p in MODULES if p != PACKAGE / "settings.py"], ids=name)
def test_only_the_settings_read_the_environment(path: Path) -> None:
    """A variable read elsewhere is a setting that nobody can find, type or test."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
    }
    names |= {
        a.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "os"
        for a in node.names
    }
    assert names & {"environ", "environb", "getenv", "putenv"} == set()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_nothing_prints_and_no_clock_is_naive(path: Path) -> None:
    """Text meant for people goes through the console, for machines through the log; a naive time means nothing."""
    found = {ast.unparse(call) for call in calls(path)}
    assert [c for c in found if re.match(r"(builtins\.)?print\(", c)] == []
    assert [c for c in found if re.search(r"\b(datetime\.now\(\)|utcnow\(|utcfromtimestamp\(|date\.today\()", c)] == []


@pytest.mark.parametrize("path", PURE, ids=name)
def test_pure_logic_is_told_the_time(path: Path) -> None:
    """Logic that asks a clock gives another answer tomorrow, and no re-run can be compared with the first."""
    clock = re.compile(r"\b(datetime\.now|time\.time(_ns)?|perf_counter|monotonic)\(")
    assert [ast.unparse(call) for call in calls(path) if clock.match(ast.unparse(call))] == []


def make_targets() -> set[str]:
    """The targets that `make help` lists."""
    return set(re.findall(r"^([a-z][a-z-]*):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def commands(page: Path, program: str) -> set[str]:
    """The first words after a program's name, in the code of a page (blocks and spans)."""
    text = page.read_text(encoding="utf-8")
    code = re.findall(r"```.*?```", text, re.DOTALL) + re.findall(
        r"`[^`\n]+`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    )
    return {
        m
        for block in code
        for m in re.findall(rf"(?:^|[\s`/]){program} ([a-z][a-z-]*)(?=[\s`]|$)", block, re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_make_command_in_a_page_exists(page: Path) -> None:
    assert commands(page, "make") - make_targets() == set()


def known_commands() -> set[str]:
    """The commands of `payments`, as `payments --help` lists them."""
    import typer.main

    from payments_platform.cli import app

    return set(typer.main.get_group(app).commands)


def test_a_payments_command_in_the_makefile_exists() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\(VENV\)/payments ([a-z-]+)", text)) - known_commands() == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_payments_command_in_a_page_exists(page: Path) -> None:
    assert commands(page, "payments") - known_commands() == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_link_in_a_page_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_declared_marker_is_documented() -> None:
    """A marker without a sentence is used for whatever its name suggests."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert all(": " in marker for marker in options["markers"])
