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
    with disk_of(tmp_path / "data", _ROOMY), running(tmp_path, daemon=False) as started:
        yield started


def _used(folder: Path) -> int:
    """KiB."""
    disk = os.statvfs(folder)
    return (disk.f_blocks - disk.f_bfree) * disk.f_frsize // 1024


def _full_in(layer: SpeedLayer) -> set[str]:
    """The servers that have said so in their logs."""
    logs = layer.home.logs.glob("*.log")
    return {log.stem for log in logs if "no space left" in log.read_text(errors="replace").lower()}


@pytest.mark.row("E1", "S7", "S10", "O9")
def test_a_full_disk_under_every_server_loses_nothing_that_was_acknowledged(layer: SpeedLayer) -> None:
    """Each waits or dies and is restarted; all of them go on where they were once there is room."""
    data = layer.home.data
    with Pressure(layer.settings, 40, 9) as pressure:
        time.sleep(10)
        resize(data, _used(data) + _LEFT)
        until_true(lambda: "primary" in _full_in(layer), "no server met the full disk", 180)
        time.sleep(30)
        resize(data, _ROOMY)
        served = pressure.transactions
        until_true(lambda: pressure.transactions > served + 100, "no payments are taken", 240)
    supervisor = sites.supervisor_of(layer.site)
    until_true(lambda: all(state.pid for state in supervisor.states().values()), "a server is down")
    verdicts = [*settled(layer.settings, _SETTLE), *layer.stores(_SETTLE)]
    assert [str(verdict) for verdict in verdicts if verdict.kinds] == []
