"""The error table against real dbt on DuckDB: in this process and as a program started by its Dagster resource."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from dagster_dbt import DbtCliResource
from dbt.cli.main import dbtRunner

from payments_platform.operations.errors import classify

_HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A dbt project of one good and one bad model, on a DuckDB file in its own folder."""
    profile = {"target": "here", "outputs": {"here": {"type": "duckdb", "path": str(tmp_path / "w.duckdb")}}}
    settings = {"name": "tried", "profile": "tried", "flags": {"send_anonymous_usage_stats": False}}
    files = {
        "dbt_project.yml": json.dumps(settings),
        "profiles.yml": json.dumps({"tried": profile}),
        "models/good.sql": "select 1 as n",
        "models/bad.sql": "select no_such_column from (select 1 as n)",
    }
    (tmp_path / "models").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    duckdb.connect(str(tmp_path / "w.duckdb")).close()
    return tmp_path


@pytest.fixture
def held(project: Path) -> Iterator[None]:
    """Another process has the warehouse open."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(project / "w.duckdb")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.kill()


def failure(project: Path, model: str) -> BaseException:
    """The error of a dbt program run by its Dagster resource."""
    dbt = Path(sys.executable).with_name("dbt")
    resource = DbtCliResource(project_dir=str(project), profiles_dir=str(project), dbt_executable=str(dbt))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which error it is, is what the test looks at
        resource.cli(["run", "--select", model]).wait()
    return caught.value


@pytest.mark.slow
@pytest.mark.row("E1")
@pytest.mark.usefixtures("held")
def test_dbt_on_a_warehouse_that_another_process_holds_is_transient(project: Path) -> None:
    assert classify(failure(project, "good")) == "transient"


@pytest.mark.slow
@pytest.mark.row("E2")
def test_a_model_that_cannot_be_built_is_permanent(project: Path) -> None:
    assert classify(failure(project, "bad")) == "permanent"


@pytest.mark.row("E2")
def test_a_project_that_cannot_be_read_is_permanent(project: Path) -> None:
    (project / "models" / "bad.sql").write_text("select {{ ref('nothing') }}")
    result = dbtRunner().invoke(["parse", "--project-dir", str(project), "--profiles-dir", str(project)])
    assert result.exception is not None
    assert classify(result.exception) == "permanent"
