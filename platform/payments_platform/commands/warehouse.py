"""`payments query`, `export` and `dbt-schema`: reading the warehouse, and the YAML that dbt reads.

Belongs here: options, and how rows are printed. Does not: what a query may do (warehouse/query.py), how files are
written (warehouse/export.py), what the YAML says (contracts/dbt_schema.py).
"""

import csv
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from payments_platform.warehouse.query import Answer

app = typer.Typer()
_err = Console(stderr=True, highlight=False)
DBT = Path(__file__).resolve().parents[3] / "dbt"


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help='One statement, e.g. "SELECT count(*) FROM marts.fact_transaction".')],
    output: Annotated[Format, typer.Option("--format", help="table, json or csv.")] = Format.TABLE,
    limit: Annotated[int, typer.Option(min=1, help="Rows that a table shows at most; json and csv give all.")] = 100,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait while a load uses the warehouse.")] = 600,
) -> None:
    """Read the warehouse with SQL. Nothing can be written, and no file outside it can be reached."""
    from payments_platform.settings import load_settings
    from payments_platform.warehouse.query import ask

    path = load_settings().warehouse_path
    with ask(path, sql, wait_seconds=wait, on_wait=lambda text: _err.print(text, markup=False)) as answer:
        match output:
            case Format.TABLE:
                _print_table(answer, limit)
            case Format.JSON:
                _print_json(answer)
            case Format.CSV:
                writer = csv.writer(sys.stdout, lineterminator="\n")
                writer.writerow(answer.columns)
                writer.writerows([_text(cell) for cell in row] for row in answer.rows)


class FileFormat(StrEnum):
    """How a table is written to a file."""

    PARQUET = "parquet"
    CSV = "csv"


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where to write; a folder for each zone is made in it.")],
    form: Annotated[FileFormat, typer.Option("--format", help="parquet or csv.")] = FileFormat.PARQUET,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait while a load uses the warehouse.")] = 600,
) -> None:
    """Write the marts and aggregates to files that any tool can read while loads run. Repeat it to refresh them."""
    from payments_platform.contracts.catalogue import of_zone
    from payments_platform.settings import load_settings
    from payments_platform.warehouse.export import export

    tables = [*of_zone("marts"), *of_zone("aggregates")]

    def say(text: str) -> None:
        _err.print(text, markup=False)

    for it in export(load_settings().warehouse_path, tables, folder, form.value, wait_seconds=wait, on_wait=say):
        say(f"{it.path}  {it.rows:,} rows")


@app.command("dbt-schema")
def dbt_schema(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; end with 1 if a file is out of date.")] = False,
) -> None:
    """Write the YAML of the dbt models from the contracts."""
    stale = list(stale_dbt_schema_files())
    for path, text in stale:
        if not check:
            path.write_text(text, encoding="utf-8")
        _err.print(f"dbt/{path.relative_to(DBT)} {'is out of date' if check else 'written'}", markup=False)
    if stale and check:
        _err.print("Next: payments dbt-schema")
        raise typer.Exit(1)


def stale_dbt_schema_files() -> Iterator[tuple[Path, str]]:
    """The generated files whose text on disk is not what the contracts say, with the right text."""
    from payments_platform.contracts.dbt_schema import dbt_schema_files

    for name, text in dbt_schema_files().items():
        path = DBT / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            yield path, text


def _print_table(answer: "Answer", limit: int) -> None:
    table = Table()
    for name in answer.columns:
        table.add_column(Text(name), overflow="fold")
    for row in islice(answer.rows, limit):
        table.add_row(*(Text(_text(cell)) for cell in row))
    more = sum(1 for _ in answer.rows)
    # Into a file or a pipe, a column is as wide as it must be.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)
    if more:
        _err.print(f"{more:,} more rows; raise --limit, or use --format csv.", markup=False)


def _print_json(answer: "Answer") -> None:
    """One array, an object a row. Integers stay numbers; decimals are text, since a JSON number may lose digits."""
    separator = "["
    for row in answer.rows:
        cells = {name: _plain(cell) for name, cell in zip(answer.columns, row, strict=True)}
        sys.stdout.write(f"{separator}\n  {json.dumps(cells, ensure_ascii=False)}")
        separator = ","
    sys.stdout.write("[]\n" if separator == "[" else "\n]\n")


def _plain(cell: Any) -> Any:  # noqa: ANN401 - a cell of any type
    if cell is None or isinstance(cell, (bool, int, str)):
        return cell
    if isinstance(cell, float):
        return cell if cell == cell and abs(cell) != float("inf") else None  # noqa: PLR0124 - false for NaN alone
    if isinstance(cell, (list, tuple)):
        return [_plain(item) for item in cell]
    if isinstance(cell, dict):
        return {str(name): _plain(item) for name, item in cell.items()}
    return _text(cell)


def _text(cell: Any) -> str:  # noqa: ANN401 - a cell of any type
    """Null is empty; times are ISO 8601 in UTC; decimals are written out, never in powers of ten."""
    match cell:
        case None:
            text = ""
        case bool():
            text = str(cell).lower()
        case Decimal():
            text = format(cell, "f")
        case datetime():
            text = cell.isoformat().replace("+00:00", "Z")
        case list() | tuple() | dict():
            text = json.dumps(_plain(cell), ensure_ascii=False)
        case _:
            text = str(cell)
    return text
