"""``payments kpis`` on the real platform database: a run of today is in the week and in the month.

Belongs here: what only the real parts show. Does not: the figures (unit/test_weekly_figures).
"""

import json

import dagster as dg
import pytest
from typer.testing import CliRunner

from assets_tests.conftest import Stack
from payments_platform.cli import app
from payments_platform.clients.dagster import instance_of

pytestmark = pytest.mark.integration


@dg.op
def works() -> None:
    """Do nothing, well."""


@dg.job(name="a_job_of_the_tests")
def some_job() -> None:
    """One task."""
    works()


@pytest.mark.row("R6", "O12", "O10")
def test_the_week_and_the_month_are_printed_with_what_is_not_measured(stack: Stack) -> None:
    with instance_of(stack.settings) as instance:
        assert some_job.execute_in_process(instance=instance).success
    runner = CliRunner()
    asked = runner.invoke(app, ["kpis", "--format", "json"], catch_exceptions=False)
    found = json.loads(asked.stdout)
    figures = {(row["subject"], row["figure"]): row["value"] for row in found["weekly_figures"]}
    assert figures["a_job_of_the_tests", "job_success_ratio"] == 1.0
    levels = {row["service_level"]: row for row in found["service_levels"]}
    assert levels["fraud_decision"]["verdict"] == "not measured"
    assert levels["pipeline_success"]["sample_count"] >= 1
    shown = runner.invoke(app, ["kpis"], catch_exceptions=False)
    assert (asked.exit_code, shown.exit_code) == (0, 0)
    for text in ("a_job_of_the_tests", "job_success_ratio", "source_availability", "not measured"):
        assert text in shown.stdout


def test_a_week_without_a_run_says_so_and_a_month_before_the_platform_is_measured_by_nothing(stack: Stack) -> None:
    runner = CliRunner()
    week = runner.invoke(app, ["kpis", "--week", "2020-W53"], catch_exceptions=False)
    assert "no run ended" in week.stdout
    assert "Service levels" not in week.stdout
    month = runner.invoke(app, ["kpis", "--month", "2020-02", "--format", "json"], catch_exceptions=False)
    assert {row["verdict"] for row in json.loads(month.stdout)["service_levels"]} == {"not measured"}


@pytest.mark.parametrize("options", [["--week", "2026-48"], ["--month", "2026-13"]])
def test_what_names_no_period_is_refused(options: list[str]) -> None:
    answer = CliRunner().invoke(app, ["kpis", *options])
    assert answer.exit_code == 2
    assert "write it as" in answer.output
