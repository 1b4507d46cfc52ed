"""A backfill of everything, asked for as the page asks for it, against `payments backfill` over the same days.

Belongs here: what Dagster itself makes of a backfill, and what is in the stores afterwards. Does not: the command alone
(test_pipeline.py), the pages as services (test_stack_pages.py).
"""

import http.client
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pytest

from assets_tests.conftest import PROJECT, Stack
from assets_tests.integration.pipeline import OfTheStack, Platform, days, environment
from payments_platform.clients.dagster import instance_of
from payments_platform.contracts.catalogue import of_zone
from payments_platform.definitions import defs
from payments_platform.local import sites
from payments_platform.local import stack as local_stack
from payments_platform.local.home import Home
from payments_platform.local.request import Request
from payments_platform.settings import load_settings
from payments_platform.vocabulary import LAKE_ZONES

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    # dagster-dbt asks its context for the op in the old way. Exit: dagster-dbt 0.30.
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.op is deprecated:DeprecationWarning"),
]
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 3)
# Dagster's own splitting: lake and landing, the calendar, dimensions and what they read, facts and aggregates, times.
RUNS: Final = 5
BACKFILL_TAG: Final = "dagster/backfill"
LAUNCH: Final = """mutation Launch($backfillParams: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfillParams) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A stack of its own with pages and daemon, three small days in its source, nothing built."""
    project = tmp_path_factory.mktemp("project")
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, project)
    home = Home(project / ".local")
    request = Request(
        home, project, ui=True, environment="test", any_ports=True, stop_with=os.getpid(), say=lambda _: None
    )
    try:
        local_stack.up(request)
        with environment({"PAYMENTS_HOME": str(home.root), "PAYMENTS_ENVIRONMENT": "test"}):
            made = OfTheStack(Stack(home.root, load_settings()), home.root)
        result = made.command("simulate", "--days", "3", "--per-day", "200", "--until", str(LAST), "--seed", "8")
        assert result.exit_code == 0, result.output
        yield made
    finally:
        local_stack.down(home, lambda _: None)


def ask(platform: Platform, query: str, variables: Mapping[str, object]) -> Any:  # noqa: ANN401 - the query's shape
    """Ask the web server."""
    site = sites.known_site(Home(platform.stack.home))
    assert site is not None
    connection = http.client.HTTPConnection(site.host, site.ports["webserver"], timeout=60)
    try:
        body = json.dumps({"query": query, "variables": variables})
        connection.request("POST", "/graphql", body=body, headers={"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


def launch(platform: Platform, keys: Sequence[dg.AssetKey], names: Sequence[str]) -> str:
    """Ask for a backfill as the dialog of the page does; return its id."""
    selection = [{"path": list(key.path)} for key in sorted(keys)]
    parameters = {"assetSelection": selection, "partitionNames": names, "fromFailure": False, "tags": []}
    launched = ask(platform, LAUNCH, {"backfillParams": parameters})["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    return str(launched["backfillId"])


def runs_at_the_end(platform: Platform, backfill_id: str, seconds: float = 1200) -> list[dg.DagsterRun]:
    """Wait until Dagster says that the backfill is over; return all of its runs."""
    deadline = time.monotonic() + seconds
    with environment(platform.variables()), instance_of(platform.stack.settings) as instance:
        while not (backfill := instance.get_backfill(backfill_id)) or backfill.status.name in {"REQUESTED", "STARTED"}:
            assert time.monotonic() < deadline, "the backfill did not end"
            time.sleep(2)
        runs = list(instance.get_runs(dg.RunsFilter(tags={BACKFILL_TAG: backfill_id})))
        assert backfill.status.name.startswith("COMPLETED"), backfill.error
    return runs


@pytest.mark.row("C7", "B6")
def test_a_backfill_of_everything_from_the_page_ends_in_the_tables_of_the_command(
    platform: Platform, tmp_path: Path
) -> None:
    """Two ways to the same days that end in two truths would make every repair a gamble."""
    everything = defs.resolve_job_def("daily_oltp_to_dwh").asset_layer.executable_asset_keys
    asked_for = [day.isoformat() for day in days(FIRST, LAST)]
    runs = runs_at_the_end(platform, launch(platform, sorted(everything), asked_for))
    # The status of a backfill says nothing of what failed in a run that a later one made up for.
    assert {run.run_id: run.status.name for run in runs if run.status is not dg.DagsterRunStatus.SUCCESS} == {}
    assert {key for run in runs for key in run.asset_selection or ()} == set(everything)
    # What the guide says of its runs.
    assert len(runs) == RUNS
    keepers = [keeper for zone in LAKE_ZONES if zone != "quarantine" for keeper in of_zone(zone)]
    assert {it.name: platform.lake.days(it) for it in keepers if it.is_daily} == {
        it.name: dict.fromkeys(days(FIRST, LAST), "passed") for it in keepers if it.is_daily
    }

    typed = Platform(platform.stack, tmp_path)
    typed.built(FIRST, LAST)
    assert platform.lake_digests() == typed.lake_digests()
    assert platform.warehouse_digests() == typed.warehouse_digests()
    facts = platform.warehouse.query("SELECT count(DISTINCT created_date) AS days FROM marts.fact_transaction")
    assert facts["days"].item() == len(asked_for)
