"""Print what the lock costs to download and on disk, for a Linux x86-64 machine with Python 3.11.

Reads the sizes that the index declares for the chosen files (a PEP 751 lock made beside requirements.lock), and the
size of the environment this runs in. Called by .ci/lock alone, so that no figure is ever typed by hand.
"""

import sys
import tomllib
from pathlib import Path


def download_bytes(pylock: Path) -> tuple[int, int]:
    """Number of packages, and bytes of the one file that each is installed from (largest wheel, else the sdist)."""
    packages = tomllib.loads(pylock.read_text(encoding="utf-8"))["packages"]
    sizes = [max(f["size"] for f in package.get("wheels") or [package["sdist"]]) for package in packages]
    return len(sizes), sum(sizes)


def installed_bytes(environment: Path) -> int:
    """Bytes of all files below an environment."""
    return sum(path.lstat().st_size for path in environment.rglob("*") if path.is_file() and not path.is_symlink())


def main() -> None:
    """Write the three lines of requirements.size to standard output."""
    count, download = download_bytes(Path(sys.argv[1]))
    lines = [
        f"packages: {count}",
        f"download: {download / 1e6:.0f} MB",
        f"installed: {installed_bytes(Path(sys.prefix)) / 1e9:.1f} GB",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
