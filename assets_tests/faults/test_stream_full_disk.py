"""The disk under all servers is full: source, broker and stores at once, as on one machine it would be."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from assets_tests.faults.stream_checker import settled
from assets_tests.faults.stream_layer import SpeedLayer, running, until_true
from assets_tests.faults.stream_run import Pressure
from assets_tests.faults.test_misfortunes import disk_of, resize
from payments_platform.local import sites

pytestmark = [
    pytest.mark.integration,
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.timeout(900, func_only=True),
]
_ROOMY, _LEFT = 6 * 2**20, 2 * 2**10  # KiB
_SETTLE: Final = 240.0


@pytest.fixture
def layer(tmp_path: Path) -> Iterator[SpeedLayer]:
    with disk_of(tmp_path / "home", _ROOMY), running(tmp_path / "home", daemon=False) as started:
        yield started


def _used(folder: Path) -> int:
    """KiB."""
    disk = os.statvfs(folder)
    return (disk.f_blocks - disk.f_bfree) * disk.f_frsize // 1024


def _stands_still(pressure: Pressure) -> bool:
    """Whether no payment was acknowledged for ten seconds."""
    before = pressure.transactions
    time.sleep(10)
    return pressure.transactions == before


@pytest.mark.row("E1", "S7", "S10", "O9")
def test_a_full_disk_under_every_server_loses_nothing_that_was_acknowledged(layer: SpeedLayer) -> None:
    """Each waits or dies and is restarted; all of them go on where they were once there is room."""
    disk = layer.home.root
    with Pressure(layer.settings, 40, 9) as pressure:
        time.sleep(10)
        resize(disk, _used(disk) + _LEFT)
        until_true(lambda: _stands_still(pressure), "payments are taken on a full disk", 180)
        time.sleep(20)
        resize(disk, _ROOMY)
        served = pressure.transactions
        until_true(lambda: pressure.transactions > served + 100, "no payments are taken", 240)
    supervisor = sites.supervisor_of(layer.site)
    until_true(lambda: all(state.runs for state in supervisor.states().values()), "a server is down", 180)
    verdicts = [*settled(layer.settings, _SETTLE), *layer.stores(_SETTLE)]
    assert [str(verdict) for verdict in verdicts if verdict.kinds] == []
