"""`payments screenshots | notebooks`: the pictures and executed notebooks of docs/, from what runs in this home.

Belongs here: which files there are, and sentences. Does not: steps in the browser, running cells (documentation/).
"""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer()
_err = Console(stderr=True, highlight=False)
DOCS = Path(__file__).resolve().parents[3] / "docs"
IMAGES, NOTEBOOKS = DOCS / "images", DOCS / "notebooks"


@app.command()
def screenshots(
    names: Annotated[list[str] | None, typer.Argument(help="lineage, assets, …; without any, all.")] = None,
) -> None:
    """Take the pictures of docs/images from the running UI. `make pictures` makes a month of data for them first."""
    from payments_platform.commands.backfill import newest_day
    from payments_platform.documentation.pictures import named, take
    from payments_platform.local import statuses
    from payments_platform.local.failures import StackError
    from payments_platform.local.home import Home
    from payments_platform.settings import load_settings

    try:
        pictures = named(names or [])
    except KeyError as error:
        raise typer.BadParameter(str(error.args[0])) from None
    known = {it.name: it for it in statuses.status(Home(load_settings().home))}
    page = known.get("webserver")
    if page is None or not page.ready:
        raise StackError("The UI is not running, so there is nothing to take a picture of.", "payments up")
    url = str(page.address["url"])
    for path in take(pictures, url, newest_day(), IMAGES, is_root=os.geteuid() == 0):
        _err.print(f"docs/images/{path.name} {path.stat().st_size // 1024} KB", markup=False)


@app.command()
def notebooks() -> None:
    """Run the notebooks of docs/notebooks on this home's warehouse, and keep their outputs."""
    from payments_platform.documentation.notebooks import run
    from payments_platform.settings import load_settings

    load_settings().export()
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        run(path)
        _err.print(f"docs/notebooks/{path.name} {path.stat().st_size // 1024} KB", markup=False)
