"""`payments stream run | status`: run one worker of the speed layer, and show how far each is behind.

Belongs here: signals, the metrics port, tables. Does not: what a worker does (streaming/).
"""

import logging
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from payments_platform.commands.live import stopped_by_signals

app = typer.Typer(help="The workers between Kafka and the stores.", no_args_is_help=True)
_out = Console(highlight=False)


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="The worker.")],
    slot: Annotated[
        str | None, typer.Option(help="Name of this member in its group; one process per slot.", show_default="NAME-1")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Serve Prometheus metrics on 127.0.0.1.", show_default="off")
    ] = None,
) -> None:
    """Run one worker in the foreground until Ctrl-C or SIGTERM; it then finishes its batch and commits."""
    from prometheus_client import start_http_server

    from payments_platform.settings import load_settings
    from payments_platform.streaming.workers import build

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # It tells of every request.
    logging.getLogger("elastic_transport").setLevel(logging.WARNING)
    with stopped_by_signals() as stop:
        worker = build(name, load_settings(), slot=slot, stop=stop)
        if metrics_port is not None:
            start_http_server(metrics_port, addr="127.0.0.1")
        worker.run()


@app.command()
def status() -> None:
    """Show how far each worker is behind, by partition."""
    from payments_platform.settings import load_settings
    from payments_platform.streaming.lag import lags_of
    from payments_platform.streaming.workers import WORKERS

    table = Table("worker", "topic", "partition", "read up to", "end", "lag")
    for line in lags_of(load_settings().kafka_servers(), list(WORKERS)):
        figures = (line.partition, line.committed, line.end, line.lag)
        table.add_row(line.group, line.topic, *(f"{figure:,}" for figure in figures))
    _out.print(table)
    _out.print("Lag counts offsets: each transaction of the processor adds one per partition that it wrote to.")
