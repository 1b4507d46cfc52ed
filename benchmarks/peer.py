"""The race: the peer's run, and whether both gave the same answer.

Belongs here: starting the peer, its answer beside ours. Does not: what the peer does (spark_peer.py), printing.
"""

import json
import os
import shutil
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from benchmarks.watched import Watched
from payments_platform.contracts.payments import (
    CLEAN_TRANSACTIONS,
    CURATED_TRANSACTIONS,
    QUARANTINE_TRANSACTIONS,
    RAW_TRANSACTIONS,
)
from payments_platform.lake.partitions import Lake
from payments_platform.lake.storage import LocalStorage
from payments_platform.settings import Settings
from payments_platform.warehouse.duckdb import DuckDBWarehouse

_PACKAGES: Final = ".peer"
# Spark's recommended share of a machine with 24 GB; ours may use 6.
_MEMORY: Final = "8g"
MEASURES: Final = (
    "transaction_count",
    "succeeded_count",
    "failed_count",
    "gross_usd_minor",
    "captured_usd_minor",
    "refunded_usd_minor",
)
_COMPARED: Final = (RAW_TRANSACTIONS, QUARANTINE_TRANSACTIONS, CLEAN_TRANSACTIONS, CURATED_TRANSACTIONS)
Answer = dict[str, Any]


@dataclass(frozen=True)
class PeerRun:
    """How long the peer took, in all and by phase, what memory it held, and its answer."""

    watched: Watched
    seconds: dict[str, float]
    answer: Answer


def missing(project: Path) -> str | None:
    """Why there is no race here, or None."""
    if shutil.which("java") is None:
        return "peer left out: no Java on the path"
    if not (project / _PACKAGES / ".installed").exists():
        return "peer left out: PySpark is not there (bash .ci/peer)"
    return None


def run(settings: Settings, project: Path, day: date, folder: Path) -> PeerRun:
    """Run the peer for the day, on the same replica, into a folder. Raises RuntimeError when it fails."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = settings.postgres("replica", "extract")
    environment = {
        **os.environ,
        "PYTHONPATH": f"{project / _PACKAGES}:{project}",
        "PEER_URL": f"jdbc:postgresql://{source.host}:{source.port}/{source.database}",
        "PEER_USER": source.user,
        "PEER_PASSWORD": source.password.get_secret_value(),
    }
    command = [sys.executable, "-m", "benchmarks.spark_peer", str(folder), str(day), _MEMORY]
    watched = Watched(command, environment, project)
    if watched.exit_code:
        raise RuntimeError(f"the peer ended with {watched.exit_code}; its lines above say why")
    found = json.loads((folder / "result.json").read_text())
    return PeerRun(watched, found["seconds"], found["answer"])


def our_answer(settings: Settings, day: date) -> Answer:
    """Rows and minor units by currency of each zone, and the totals of merchant_daily, as the peer gives them."""
    lake = Lake(LocalStorage(settings.lake_root))
    answer: Answer = {}
    for dataset in _COMPARED:
        manifest = lake.manifest(dataset, day)
        if manifest is not None:
            output = manifest.outputs[dataset.name]
            answer[dataset.zone] = {"rows": output.rows, "sums": dict(output.sums)}
    sums = ", ".join(f"sum({name})::bigint as {name}" for name in MEASURES)
    totals = DuckDBWarehouse(settings.warehouse_path).query(
        f"select count(*)::bigint as row_count, {sums} from aggregates.merchant_daily"
    )
    answer["merchant_daily"] = totals.row(0, named=True)
    return answer


def different(ours: Answer, theirs: Answer) -> list[str]:
    """What the two answers disagree on, [] for nothing."""
    names = sorted({*ours, *theirs})
    return [
        f"{name}: ours {ours.get(name)}, peer {theirs.get(name)}"
        for name in names
        if ours.get(name) != theirs.get(name)
    ]
