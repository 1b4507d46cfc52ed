"""The `.env` file that lets `dagster dev` use the stack from a plain shell.

Belongs here: writing and removing our block of lines. Does not: which variables there are (servers/).
"""

import re
from collections.abc import Mapping
from pathlib import Path

from payments_platform.local.home import write_private

_BEGIN = "# --- written by `payments up`; lines between these marks are replaced ---"
_END = "# --- end ---"
_BLOCK = re.compile(rf"{re.escape(_BEGIN)}\n.*?{re.escape(_END)}\n?", re.DOTALL)


def write(path: Path, variables: Mapping[str, str]) -> None:
    """Put our block into the file, readable by this user only; other lines stay as they are."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = "".join(f'{name}="{value}"\n' for name, value in variables.items())
    rest = _BLOCK.sub("", before)
    if rest and not rest.endswith("\n"):
        rest += "\n"
    write_private(path, f"{rest}{_BEGIN}\n{lines}{_END}\n")
    path.chmod(0o600)


def remove(path: Path) -> None:
    """Take our block out; a file that holds nothing else goes too."""
    if not path.exists():
        return
    rest = _BLOCK.sub("", path.read_text(encoding="utf-8"))
    if rest.strip():
        write_private(path, rest)
    else:
        path.unlink()
