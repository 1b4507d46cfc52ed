"""`payments docs`: writes the generated pages of docs/, so that no fact in them is typed by hand.

Belongs here: which pages there are, and the settings table. Does not: how a contract reads (contracts/pages.py).
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer()
_err = Console(stderr=True, highlight=False)

DOCS = Path(__file__).resolve().parents[3] / "docs"
_WRITTEN_BY = "<!-- Written by `make docs`; edit the code it describes. -->\n\n"


def pages() -> dict[str, str]:
    """The generated pages: name below docs/ and content. Reads contracts and the settings' declaration, no value."""
    from payments_platform.contracts.catalogue import DATASETS
    from payments_platform.contracts.pages import catalogue_page

    written = {"catalogue.md": catalogue_page(DATASETS.values()), "settings.md": _settings_page()}
    return {name: f"{_WRITTEN_BY}{text.rstrip()}\n" for name, text in written.items()}


@app.command()
def docs(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; end with 1 if a page is out of date.")] = False,
) -> None:
    """Write the catalogue and the table of settings into docs/."""
    stale = {name: text for name, text in pages().items() if not _holds(DOCS / name, text)}
    for name, text in stale.items():
        if not check:
            (DOCS / name).write_text(text, encoding="utf-8")
        _err.print(f"docs/{name} {'is out of date' if check else 'written'}", markup=False)
    if not stale:
        _err.print("all generated pages are up to date")
    elif check:
        _err.print("Next: make docs")
        raise typer.Exit(1)


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def _settings_page() -> str:
    from payments_platform.contracts.pages import table
    from payments_platform.settings import Settings

    rows = []
    for name, field in Settings.model_fields.items():
        default = "see the meaning" if field.default_factory else str(field.default)
        rows.append((f"`PAYMENTS_{name.upper()}`", default, field.description or ""))
    lead = "Every setting is an environment variable, read in one place. A value that cannot be used is refused."
    return "\n".join(["# Settings", "", lead, "", *table(("variable", "default", "meaning"), rows)])
