"""A server whose child has died ends too, so that its supervisor starts it again."""

import subprocess
import sys
from pathlib import Path

import pytest

_CHILD = "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep({seconds})'])\n"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return tmp_path / "program.py"


def started(program: Path, text: str, *arguments: str) -> "subprocess.Popen[str]":
    program.write_text(f"import subprocess, sys, time\n{text}")
    command = [sys.executable, "-m", "payments_platform.local.with_child", str(program), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.row("E1")
def test_a_program_whose_child_has_died_is_ended_and_says_why(program: Path) -> None:
    process = started(program, _CHILD.format(seconds=0) + "time.sleep(200)")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "has died" in said


def test_a_program_without_a_child_yet_and_one_whose_child_lives_go_on(program: Path) -> None:
    """Seven seconds are more than a child may be missing."""
    text = "time.sleep(7)\n" + _CHILD.format(seconds=60) + "time.sleep(3); child.kill(); print(sys.argv[1])"
    process = started(program, text, "argument")
    assert process.communicate(timeout=60)[0] == "argument\n"
    assert process.returncode == 0
