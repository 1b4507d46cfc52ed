"""Definitions load anywhere, quickly, and touch nothing: no server, secret, file or program.

Belongs here: what a process pays and risks by importing the definitions. Does not: what they define (test_policy).
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from payments_platform.settings import Environment

ROOT = Path(__file__).parents[2]
# Each run, each worker and each daemon pays this: so many times what importing Dagster alone costs, in one process. It
# is 4 to 8 times: 3 s on a fast machine, 12 s on a slow one.
LIMIT = 14
HEAVY = ["feast", "mlflow", "pyspark", "snowflake", "pandera", "adbc_driver_manager", "adbc_driver_postgresql"]
HEAVY += ["matplotlib", "pandas", "duckdb", "dbt.cli", "alembic", "sklearn"]
LEFT_OUT = shutil.ignore_patterns(".*", "target", "logs", "docs", "assets_tests", "*.egg-info", "__pycache__")
# The one warning of a library that nobody here can heal; the reason stands in pyproject.toml.
KNOWN_WARNING = "ignore:sqlglotrs is deprecated:DeprecationWarning"

PROBE = """
import json, os, resource, sys
touched = []
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec"):
        # Dagster's calendar library asks `file` whether Python is a 32-bit program.
        if arguments[0] != "file":
            touched.append([event, str(arguments[0])])
    elif event == "open" and isinstance(arguments[0], (str, bytes)) and os.fsdecode(arguments[0]) != os.devnull:
        path, mode, flags = os.fsdecode(arguments[0]), arguments[1] or "", arguments[2]
        if set(mode) & set("wax+") or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            touched.append(["write", path])
        elif os.path.basename(path) in (".env", "stack.json", "secrets.json") or path.startswith(os.getcwd()):
            touched.append(["read", path])
    elif event in ("os.mkdir", "os.rename", "os.remove"):
        touched.append([event, str(arguments[0])])
sys.addaudithook(watch)
sys.path.insert(0, sys.argv[1])
def used():
    it = resource.getrusage(resource.RUSAGE_SELF)
    return it.ru_utime + it.ru_stime
start = used()
import dagster
peer = used() - start
import payments_platform.definitions as loaded
times_dagster = (used() - start) / peer
schedules = {found.name: [found.cron_schedule, found.execution_timezone, found.default_status.value]
             for found in (loaded.defs.resolve_schedule_def("daily_oltp_to_dwh_schedule"),)}
print(json.dumps({
    "file": loaded.__file__, "touched": touched, "times_dagster": times_dagster,
    "heavy": sorted(set(sys.argv[2].split()) & set(sys.modules)),
    "assets": len(loaded.defs.resolve_all_asset_keys()), "schedules": schedules,
}))
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The repository in another folder, with the compiled models and nothing that was left behind by use."""
    copy = tmp_path_factory.mktemp("a checkout")
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT, dirs_exist_ok=True)
    (copy / "dbt" / "target").mkdir()
    shutil.copy(ROOT / "dbt" / "target" / "manifest.json", copy / "dbt" / "target")
    yield copy
    shutil.rmtree(copy)


def load(checkout: Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Import the definitions of a checkout from another folder, with no environment but the path and what is given."""
    command = [sys.executable, "-B", "-W", "error", "-W", KNOWN_WARNING, "-c", PROBE]
    return subprocess.run(
        [*command, str(checkout / "platform"), " ".join(HEAVY)],
        cwd=folder,
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def loaded(checkout: Path, folder: Path, **environment: str) -> dict[str, Any]:
    """What the probe saw. Fails with the traceback when loading failed."""
    done = load(checkout, folder, **environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr == ""
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


# One in which a person starts the schedule, one in which it starts by itself; each costs a process of its own.
QUICK = {None, "production"}


@pytest.mark.row("B1", "C1")
@pytest.mark.parametrize(
    "environment",
    [
        pytest.param(known, marks=() if known in QUICK else pytest.mark.slow)
        for known in (None, *get_args(Environment)[1:])
    ],
    ids=str,
)
def test_definitions_load_everywhere_within_budget_and_touch_nothing(
    environment: Environment | None, checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No secret or server is needed to show the graph, and every process of a run pays for the imports.

    None is the empty environment, which is local. The schedule starts by itself only where people depend on it.
    """
    seen = loaded(checkout, tmp_path, **({"PAYMENTS_ENVIRONMENT": environment} if environment else {}))
    with capsys.disabled():
        sys.stdout.write(f" [definitions: {seen['times_dagster']:.1f} times the import of Dagster, of {LIMIT}] ")
    assert Path(seen["file"]).is_relative_to(checkout)
    assert (seen["touched"], seen["heavy"], list(tmp_path.iterdir())) == ([], [], [])
    assert seen["assets"] > 40
    assert seen["times_dagster"] < LIMIT
    status = "RUNNING" if environment in {"staging", "production"} else "STOPPED"
    assert seen["schedules"] == {"daily_oltp_to_dwh_schedule": ["0 2 * * *", "UTC", status]}


def test_an_unknown_environment_is_refused_by_name(checkout: Path, tmp_path: Path) -> None:
    """Falling back to a default would write into somebody else's data."""
    done = load(checkout, tmp_path, PAYMENTS_ENVIRONMENT="prod")
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert "PAYMENTS_ENVIRONMENT" in last
    assert all(known in last for known in get_args(Environment))


def test_models_that_were_never_compiled_are_explained(checkout: Path, tmp_path: Path) -> None:
    """An empty graph in place of an error would look like a platform without a warehouse."""
    manifest = checkout / "dbt" / "target" / "manifest.json"
    aside = manifest.rename(tmp_path / "manifest.json")
    try:
        done = load(checkout, tmp_path)
    finally:
        aside.rename(manifest)
    assert done.returncode != 0
    assert "DbtManifestMissing" in done.stderr.splitlines()[-1]
    assert "make setup" in done.stderr.splitlines()[-1]


def test_the_probe_sees_what_it_is_to_see(tmp_path: Path) -> None:
    """A watch that sees nothing would pass for ever."""
    package = tmp_path / "platform" / "payments_platform"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (tmp_path / ".env").touch()
    lines = [
        "import pathlib, socket, subprocess, sys",
        "pathlib.Path('left').write_text(pathlib.Path('.env').read_text())",
    ]
    lines += [
        "subprocess.run([sys.executable, '-c', ''])",
        "socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', 9))",
    ]
    (package / "definitions.py").write_text("\n".join(lines))
    watch = PROBE.split("schedules = ", maxsplit=1)[0] + "print(json.dumps(touched))"
    command = [sys.executable, "-B", "-c", watch, str(tmp_path / "platform"), ""]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [event for event, _ in json.loads(done.stdout) if event != "read"] == [
        "write",
        "subprocess.Popen",
        "socket.connect",
    ]
    assert ["read", ".env"] in json.loads(done.stdout)


@pytest.mark.row("C7")
def test_the_workspace_file_is_what_dagster_loads(tmp_path: Path) -> None:
    """The UI and the daemon find the code by this file alone."""
    environment = {"PATH": os.environ["PATH"], "DAGSTER_HOME": str(tmp_path)}
    dagster = str(Path(sys.executable).parent / "dagster")
    command = [dagster, "definitions", "validate", "-w", str(ROOT / "workspace.yaml")]
    # Elsewhere: a `.env` that a stack left in the checkout would lead to servers that may be down.
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "payments_platform" in done.stdout + done.stderr
