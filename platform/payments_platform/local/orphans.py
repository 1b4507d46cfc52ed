"""Ending processes of a stack whose supervisor was killed: they would hold ports and data folders for ever.

Belongs here: finding them by their exact words and ending them. Does not: which words a server has (servers/).
"""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

_SECONDS_TO_STOP = 30


def end_orphans(is_ours: Callable[[Sequence[str]], bool], *, home: Path | None = None) -> None:
    """End every process whose command line is ours, kindly first; called when no supervisor runs it.

    ``home`` tells processes apart whose words name no home: theirs is in their environment.
    """
    found = [it for it in psutil.process_iter(["cmdline"]) if is_ours(it.info["cmdline"] or [])]
    orphans = [it for it in found if home is None or _home_of(it) == str(home)]
    for orphan in orphans:
        with contextlib.suppress(psutil.NoSuchProcess):
            orphan.terminate()
    for orphan in psutil.wait_procs(orphans, timeout=_SECONDS_TO_STOP)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            orphan.kill()
    psutil.wait_procs(orphans, timeout=_SECONDS_TO_STOP)


def _home_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("PAYMENTS_HOME")
    except psutil.Error:
        return None
