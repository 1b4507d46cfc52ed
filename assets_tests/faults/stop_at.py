"""Runs ``payments …`` and stands still at a named point, so that a test can kill it exactly there.

Usage: ``python stop_at.py POINT CALL MARKER payments-arguments…``: at the CALL-th time that POINT is reached, write
the file MARKER and wait. Belongs here: the points. The product has no code for this.
"""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

POINTS: Final = ("run-start", "extract", "write", "commit", "check", "verdict", "landing", "dbt")
_FOREVER: Final = 600.0


class Stop:
    """Counts calls; at the chosen one it leaves the marker and does not come back."""

    def __init__(self, call: int, marker: Path) -> None:
        self._left, self._marker, self._lock = call, marker, threading.Lock()

    def here(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left:
                return
        self.reached()
        time.sleep(_FOREVER)

    def here_if(self, holds: bool) -> None:
        if holds:
            self.here()

    def reached(self) -> None:
        self._marker.touch()

    def soon(self) -> None:
        """Tenths of a second instead of calls: for work that another program does."""
        timer = threading.Timer(self._left / 10, self.reached)
        timer.daemon = True
        timer.start()


def arm(point: str, stop: Stop) -> None:
    """Put the stop in the way of one function."""
    from dagster_dbt import DbtCliResource

    from payments_platform.batch import extract
    from payments_platform.contracts import pandera_schema
    from payments_platform.defs._platform.resources import Source
    from payments_platform.lake.partitions import Lake
    from payments_platform.lake.writing import DayFiles
    from payments_platform.warehouse.duckdb import _Load

    match point:
        case "run-start":
            before(Source, "extract", lambda *_: stop.here())
        case "extract":
            before(extract, "finished", lambda *_: stop.here())
        case "write":
            before(DayFiles, "_sink_together", lambda *_: stop.here())
        case "check":
            before(pandera_schema, "validate", lambda *_: stop.here())
        case "commit":
            before(Lake, "_commit", lambda *call: stop.here_if(call[2].verdict == "pending"))
        case "verdict":
            before(Lake, "_commit", lambda *call: stop.here_if(call[2].verdict != "pending"))
        case "landing":
            after(_Load, "_replace", stop.here)
        case "dbt":
            after(DbtCliResource, "cli", stop.soon)
        case _:
            raise SystemExit(f"no such point: {point}; known: {', '.join(POINTS)}")


def before(owner: Any, name: str, act: Callable[..., object]) -> None:  # noqa: ANN401 - a module or a class
    original = getattr(owner, name)

    def stopped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any function's
        act(*args)
        return original(*args, **kwargs)

    setattr(owner, name, stopped)


def after(owner: Any, name: str, act: Callable[[], object]) -> None:  # noqa: ANN401 - a module or a class
    original = getattr(owner, name)

    def stopped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any function's
        result = original(*args, **kwargs)
        act()
        return result

    setattr(owner, name, stopped)


if __name__ == "__main__":
    _point, _call, _marker, *_arguments = sys.argv[1:]
    arm(_point, Stop(int(_call), Path(_marker)))
    from payments_platform.cli import app

    app(_arguments)
