"""Every process of the speed layer is killed under load: nothing is lost, doubled, out of order, or invented.

A failure's output names its seed; ``PAYMENTS_FAULT_SEED=… make test-stream-faults`` replays its plan, and
``PAYMENTS_FAULT_ROUNDS=1`` does a sixth of the kills, those without bulk loads.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from assets_tests.faults import stream_plants, stream_windows
from assets_tests.faults.campaign import ROUNDS_VARIABLE, SEED, SEED_VARIABLE
from assets_tests.faults.stream_checker import Verdict, settled, topics
from assets_tests.faults.stream_layer import SpeedLayer, running
from assets_tests.faults.stream_plan import ROUNDS, TARGETS, Kill, hurried, plan
from assets_tests.faults.stream_report import Report
from assets_tests.faults.stream_run import Bulk, Pressure, carry_out
from payments_platform.local import sites
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS, topic

pytestmark = [pytest.mark.integration, pytest.mark.faults]
_WORKERS = ("processor", "sink-mongodb", "sink-elasticsearch", "sink-lake")
_SETTLE = 120.0
# What is left over from an hour at 320 a second is more than a slow machine works off in two minutes.
_SETTLE_ALL = 900.0


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeedLayer]:
    with running(tmp_path_factory.mktemp("speed"), daemon=True) as started:
        yield started


def say(text: str) -> None:
    """Pytest shows it with a failure."""
    sys.stdout.write(f"{text}\n")


def killed_under_load(
    layer: SpeedLayer, kills: Sequence[Kill], tps: float, folder: Path, settle: float = _SETTLE
) -> Report:
    """Do the kills of a plan under traffic, and judge everything once it has arrived."""
    say(f"{SEED_VARIABLE}={SEED}: {len(kills)} kills at {tps:g} transactions/s")
    bulk = Bulk(layer.environment, folder)
    with Pressure(layer.settings, tps, SEED) as pressure:
        killed = carry_out(layer.home, list(kills), bulk, say)
    say("all that was killed serves again")
    verdicts = settled(layer.settings, settle)
    say("\n".join(map(str, verdicts)))
    verdicts += [*layer.stores(settle), stream_windows.settled(layer.settings, settle)]
    return Report(SEED, killed, verdicts, pressure.transactions, pressure.rate, bulk.done, bulk.failed)


def assert_whole(verdicts: Sequence[Verdict]) -> None:
    faulty = [str(verdict) for verdict in verdicts if verdict.kinds]
    assert faulty == []


@pytest.mark.row("X2")
def test_a_plan_kills_every_kind_of_process_in_each_round_and_is_the_same_for_the_same_seed() -> None:
    """A failure that cannot be replayed cannot be mended."""
    kills = plan(SEED)
    assert kills == plan(SEED) != plan(SEED + 1)
    assert len(kills) == ROUNDS * len(TARGETS) >= 60
    for number in range(ROUNDS):
        of_round = kills[number * len(TARGETS) : (number + 1) * len(TARGETS)]
        assert {kill.target for kill in of_round} == set(TARGETS)
    assert {kill.load for kill in kills} == {"traffic", "load", "simulate"}


@pytest.mark.row("X2", "O9", "S6", "S7", "S9", "E1")
@pytest.mark.timeout(600, func_only=True)
def test_every_kind_of_process_killed_once_under_traffic_loses_nothing(layer: SpeedLayer, tmp_path: Path) -> None:
    report = killed_under_load(layer, hurried(plan(SEED, 1)), 40, tmp_path)
    assert report.transactions > 0
    assert_whole(report.verdicts)


@pytest.mark.row("X2", "O9", "S6", "S7", "S9", "E1")
@pytest.mark.slow
@pytest.mark.timeout(5400, func_only=True)
def test_all_kills_under_traffic_and_bulk_loads_lose_nothing(
    layer: SpeedLayer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    rounds = int(os.environ.get(ROUNDS_VARIABLE) or ROUNDS)
    report = killed_under_load(layer, plan(SEED, rounds), 320, tmp_path, _SETTLE_ALL)
    report.publish(request.config)
    assert report.rate >= 300
    assert report.bulk_done > 0 or rounds == 1
    assert_whole(report.verdicts)


@pytest.mark.row("X2", "O9")
@pytest.mark.slow
@pytest.mark.timeout(1800, func_only=True)
def test_the_checker_names_each_fault_that_is_planted_in_a_topic_or_a_store(layer: SpeedLayer) -> None:
    """A checker that sees nothing would call every run a success. It comes last: what it plants, stays."""
    sites.supervisor_of(layer.site).stop(_WORKERS)
    settings = layer.settings
    planted = {
        "mongodb": stream_plants.in_mongodb(settings),
        "elasticsearch": stream_plants.in_elasticsearch(settings),
        "lake": stream_plants.in_lake(settings),
    }
    assert_named(planted, layer.stores())
    names = (topic("transactions"), ANALYTICS_TRANSACTIONS)
    assert_named({name: stream_plants.in_topic(settings, name) for name in names}, topics(settings))


def assert_named(planted: dict[str, stream_plants.Planted], verdicts: Sequence[Verdict]) -> None:
    faults = {verdict.place: verdict.faults for verdict in verdicts}
    for place, kinds in planted.items():
        found = set(faults[place].select("kind", "transaction_id").iter_rows())
        assert set(kinds.items()) <= found, place
