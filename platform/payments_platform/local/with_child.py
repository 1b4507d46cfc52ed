"""Runs a Python program that is to end when its child has died: `python -m payments_platform.local.with_child FILE …`.

Belongs here: noticing that, for Dagster's code server: the child holds the definitions, and without it the server goes
on and answers every question with an error. Does not: starting it again, which the supervisor does.
"""

import os
import runpy
import sys
import threading
import time
from typing import Final

import psutil

_LOOK_SECONDS: Final = 1.0
# A child that is exchanged for another may be missing for a moment.
_MISSING_LOOKS: Final = 5


def main() -> None:
    """Run the file of the first argument as the main program, with the other arguments."""
    threading.Thread(target=_end_without_child, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")


def _end_without_child() -> None:
    """Wait for the first child, however long, then end the process once there has been none for some looks."""
    had_child, missing = False, 0
    while missing < _MISSING_LOOKS:
        time.sleep(_LOOK_SECONDS)
        children = psutil.Process().children()
        had_child = had_child or bool(children)
        missing = missing + 1 if had_child and not any(_lives(child) for child in children) else 0
    sys.stderr.write(f"The child of {sys.argv[0]} has died: ending, to be started again.\n")
    sys.stderr.flush()
    os._exit(1)


def _lives(child: psutil.Process) -> bool:
    """A dead child that nobody has asked after does not."""
    try:
        return child.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    main()
