"""What a stranger sees of the repository: workflows, the container for developers, pages that name tests.

Belongs here: that these say what the repository does, and call make alone. Does not: generated pages (unit/test_docs),
what commands pages may name (test_house_rules).
"""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z][a-z-]*):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
NAMES_TESTS = [ROOT / "SECURITY.md", ROOT / "docs" / "tuning.md"]


def name(path: Path) -> str:
    """Test id: the path from the repository's root."""
    return path.relative_to(ROOT).as_posix()


def is_make(command: str) -> bool:
    """Whether a command is one make target of ours and nothing else."""
    return command.startswith("make ") and command.removeprefix("make ") in TARGETS


@pytest.mark.row("D1")
@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_a_workflow_runs_make_targets_and_nothing_else(path: Path) -> None:
    """What only a server can run fails where nobody can look into it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    steps = [line.split("run:", 1)[1].strip() for line in lines if re.match(r"\s*(- )?run:", line)]
    assert steps
    assert [step for step in steps if not is_make(step)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_a_workflow_may_only_read(path: Path) -> None:
    """A token that can write is one that a pull request can steal."""
    assert "permissions:\n  contents: read\n" in path.read_text(encoding="utf-8")


@pytest.mark.row("D1")
def test_the_container_for_developers_runs_make_targets_and_nothing_else() -> None:
    described = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    commands = [value for key, value in described.items() if key.endswith("Command")]
    assert commands
    assert [command for command in commands if not is_make(command)] == []


@pytest.mark.parametrize("page", NAMES_TESTS, ids=name)
def test_a_test_that_a_page_names_is_there(page: Path) -> None:
    """A page that leans on a test which is gone leans on nothing."""
    named = set(
        re.findall(
            r"`((?:unit|assets|definitions|contracts|integration|faults)/test_\w+\.py)`", page.read_text("utf-8")
        )
    )
    assert named
    assert [test for test in named if not (ROOT / "assets_tests" / test).exists()] == []
