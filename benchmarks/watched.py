"""Running a command and watching the memory of every process that it starts.

Belongs here: one watched process tree. Does not: what is run, what is printed.
"""

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

_SAMPLE_SECONDS = 0.25


class Watched:
    """A command that has ended: exit code, wall time, and resident memory as seen four times a second.

    ``peak`` is the largest sum over the tree at one moment; ``largest`` the most that any one process of it held, with
    the process's name.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        started = time.monotonic()
        self.peak, self._by_process = 0, dict[tuple[int, str], int]()
        with subprocess.Popen(command, env=dict(environment), cwd=folder) as process:
            watcher = threading.Thread(target=self._watch, args=(process,), daemon=True)
            watcher.start()
            self.exit_code = process.wait()
            watcher.join()
        self.seconds = time.monotonic() - started

    @property
    def largest(self) -> tuple[str, int]:
        """Name and peak bytes of the process that held most."""
        (_, name), held = max(self._by_process.items(), key=lambda item: item[1], default=((0, "none"), 0))
        return name, held

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        while process.poll() is None:
            self.peak = max(self.peak, sum(self._sample(process.pid)))
            time.sleep(_SAMPLE_SECONDS)

    def _sample(self, pid: int) -> list[int]:
        """Bytes of each process of the tree now, noted by process."""
        sizes = []
        try:
            root = psutil.Process(pid)
            members = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
        for member in members:
            try:
                held, key = member.memory_info().rss, (member.pid, _name(member))
            except psutil.NoSuchProcess:
                continue
            sizes.append(held)
            self._by_process[key] = max(self._by_process.get(key, 0), held)
        return sizes


def _name(process: psutil.Process) -> str:
    """The program, with the command of it where it has commands: "payments run-day", "dbt build", "java"."""
    words = [Path(word).name for word in process.cmdline()]
    programs = words[1:] if words and words[0].startswith("python") else words
    return " ".join(word for word in programs[:2] if not word.startswith("-")) or process.name()
