"""What a machine must have before the stack can run on it, and the line that installs what lacks.

Belongs here: looking at the machine. Does not: changing it, starting anything.
"""

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from payments_platform.local import java, ports
from payments_platform.local.failures import StackError
from payments_platform.local.home import Home
from payments_platform.local.privileges import unprivileged
from payments_platform.local.selection import services
from payments_platform.local.servers.postgres import binaries
from payments_platform.local.sites import known_site, supervisor_of, usual_ports

GIB = 1024**3
# Three PostgreSQL servers 1 GB, Dagster's pages and code servers 1 GB, four Java servers 2.5 GB, two runs 2 GB.
_MEMORY_NEEDED, _MEMORY_GOOD = 6 * GIB, 12 * GIB
# Downloads 0.2 GB; a week of the demonstration about 1 GB; topics, indexes and documents as much again; write-ahead
# logs up to 8 GB in the worst case.
_DISK_NEEDED, _DISK_GOOD = 5 * GIB, 15 * GIB
_PYTHONS = ((3, 11), (3, 12))

# How each family of systems installs a program; the first manager found on the path is the platform's.
_INSTALL = {
    "apt-get": "sudo apt-get install -y {}",
    "dnf": "sudo dnf install -y {}",
    "brew": "brew install {}",
    "zypper": "sudo zypper install -y {}",
    "pacman": "sudo pacman -S {}",
}
_PACKAGES = {
    ("python", "apt-get"): "python3.11 python3.11-venv",
    ("python", "dnf"): "python3.11",
    ("python", "brew"): "python@3.11",
    ("unshare", "dnf"): "util-linux-core",
    ("java", "apt-get"): "openjdk-17-jdk-headless",
    ("java", "dnf"): "java-17-openjdk-devel",
    ("java", "brew"): "openjdk@17",
    ("java", "zypper"): "java-17-openjdk-devel",
    ("java", "pacman"): "jdk17-openjdk",
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``fit`` is False when the stack cannot run; ``advice`` is what to do, if anything."""

    what: str
    found: str
    fit: bool
    advice: str = ""


def examine(home: Home) -> Sequence[Finding]:
    """Look at everything the stack needs; never raises, changes nothing."""
    looks: tuple[Callable[[Home], Finding], ...] = (
        _system,
        _python,
        _memory,
        _disk,
        _home,
        _postgres,
        _java,
        _search,
        _account,
        _ports,
    )
    return [look(home) for look in looks]


def install_line(program: str) -> str:
    """Return the command that installs ``program`` on this machine."""
    for manager, line in _INSTALL.items():
        if shutil.which(manager):
            return line.format(_PACKAGES.get((program, manager), {"unshare": "util-linux"}.get(program, program)))
    return f"install {program}"


def _system(home: Home) -> Finding:
    del home
    name = f"{platform.system()} {platform.machine()}"
    known = platform.system() in {"Linux", "Darwin"}
    return Finding("system", name, known, "" if known else "use Linux or macOS (on Windows: WSL 2)")


def _python(home: Home) -> Finding:
    del home
    fit = sys.version_info[:2] in _PYTHONS
    return Finding("python", platform.python_version(), fit, "" if fit else install_line("python"))


def _memory(home: Home) -> Finding:
    del home
    total = psutil.virtual_memory().total
    advice = "" if total >= _MEMORY_GOOD else f"{_MEMORY_GOOD // GIB} GB let two runs work beside the servers"
    return Finding("memory", f"{total / GIB:.1f} GB", total >= _MEMORY_NEEDED, advice)


def _disk(home: Home) -> Finding:
    folder = next(it for it in (home.root, *home.root.parents) if it.exists())
    free = shutil.disk_usage(folder).free
    advice = "" if free >= _DISK_GOOD else f"free {_DISK_GOOD // GIB} GB, or set PAYMENTS_HOME to a larger disk"
    return Finding("disk", f"{free / GIB:.1f} GB free at {folder}", free >= _DISK_NEEDED, advice)


def _home(home: Home) -> Finding:
    try:
        home.accept()
    except StackError as error:
        return Finding("home", str(home.root), fit=False, advice=str(error).replace("\n", " "))
    return Finding("home", str(home.root), fit=True)


def _postgres(home: Home) -> Finding:
    del home
    try:
        program = binaries() / "postgres"
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (StackError, OSError) as error:
        return Finding("postgresql", "missing", fit=False, advice=str(error).replace("\n", " "))
    if answer.returncode != 0:
        # The wheel is built for glibc and macOS; elsewhere the loader says which library lacks.
        return Finding("postgresql", "does not start", fit=False, advice=answer.stderr.strip())
    return Finding("postgresql", answer.stdout.strip(), fit=True)


def _java(home: Home) -> Finding:
    del home
    try:
        found = java.runtime()
    except StackError as error:
        return Finding("java", "missing", fit=False, advice=f"{str(error).splitlines()[0]} {install_line('java')}")
    return Finding("java", f"{found.version} at {found.home}", fit=True)


def _search(home: Home) -> Finding:
    """Everything else works without it, so its absence stops nothing; it must be said."""
    del home
    kit = java.development_kit()
    if kit is None:
        return Finding("search", "off (no JDK)", fit=True, advice=f"{install_line('java')}, then: payments up")
    return Finding("search", f"Elasticsearch on the JDK {kit.version} at {kit.home}", fit=True)


def _account(home: Home) -> Finding:
    del home
    try:
        prefix = unprivileged()
    except StackError as error:
        advice = str(error).replace("\n", " ")
        lacks = "" if shutil.which("unshare") else f" Or: {install_line('unshare')}"
        return Finding("account", "refused by PostgreSQL and Elasticsearch", fit=False, advice=advice + lacks)
    return Finding("account", "servers run in a user namespace" if prefix else "normal user", fit=True)


def _ports(home: Home) -> Finding:
    """A taken port never stops the stack: it chooses another. Its own servers' ports do not count as taken."""
    usual = usual_ports(services(ui=True, streams=True))
    site = known_site(home)
    own = set(site.ports.values()) if site is not None and supervisor_of(site).alive() else set()
    taken = [f"{port} ({name})" for name, port in usual.items() if port not in own and ports.is_taken(port)]
    if not taken:
        return Finding("ports", "the usual ones are free", fit=True)
    return Finding("ports", f"taken: {', '.join(taken)}", fit=True, advice="payments up takes the next free ones")
