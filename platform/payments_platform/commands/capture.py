"""`payments capture …`: set up, look at, watch, repair change capture.

Belongs here: options, sentences, tables. Does not: what is done (streaming/capture/).
"""

import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from payments_platform.commands.live import stopped_by_signals
from payments_platform.commands.printing import Format
from payments_platform.commands.saying import say

if TYPE_CHECKING:
    from payments_platform.streaming.capture.facts import CaptureFacts, Finding
    from payments_platform.streaming.capture.repair import Repaired

app = typer.Typer(help="Change capture: from the source's log to Kafka.", no_args_is_help=True)
_out = Console(highlight=False)


@app.command()
def status(
    output: Annotated[Format, typer.Option("--format", help="json prints every fact for scripts.")] = Format.TABLE,
) -> None:
    """Show where capture stands and what is wrong. Ends with code 1 when something critical is."""
    from payments_platform.settings import load_settings
    from payments_platform.streaming.capture.build import places_of
    from payments_platform.streaming.capture.judge import judge
    from payments_platform.streaming.capture.observe import observe

    facts = observe(places_of(load_settings()))
    findings = judge(facts)
    if output is Format.JSON:
        _out.print_json(json.dumps({"facts": asdict(facts), "findings": [asdict(f) for f in findings]}, default=str))
    else:
        _show(facts, findings)
    if any(finding.severity == "critical" for finding in findings):
        raise typer.Exit(1)


def _show(facts: "CaptureFacts", findings: "list[Finding]") -> None:
    table = Table("what", "state")
    slot, beat = facts.slot, facts.heartbeat
    table.add_row("connector", f"{facts.connector or 'none'}, tasks {', '.join(facts.tasks) or 'none'}")
    table.add_row("slot", f"{slot.wal_status}, holds back {slot.retained_bytes / 2**20:,.1f} MiB" if slot else "none")
    if beat is not None:
        delay = (beat.arrived_at - beat.beat_at).total_seconds()
        age = (facts.at - beat.beat_at).total_seconds()
        table.add_row("heartbeat", f"{age:.1f} s old, took {delay * 1000:.0f} ms to its topic")
    table.add_row("epoch", str(facts.connector_epoch or facts.epoch))
    copied = {True: "yes", False: "no", None: "not known"}[facts.is_slot_copied]
    table.add_row("slot on the replica", copied)
    _out.print(table)
    for finding in findings:
        _out.print(f"{finding.severity}: {finding.name}: {finding.text}", markup=False, soft_wrap=True)
    if not findings:
        _out.print("Every committed change is captured.")


@app.command()
def apply() -> None:
    """Create topics, connector and slot as the code has them, and deliver every existing row once. Safe to repeat."""
    from payments_platform.settings import load_settings
    from payments_platform.streaming.capture.apply import apply as apply_capture
    from payments_platform.streaming.capture.build import capture_of

    done = apply_capture(capture_of(load_settings(), say))
    say(f"Connector {done.connector}; {len(done.topics.created)} topics created, {len(done.topics.corrected)} changed.")
    for difference in done.topics.differs:
        say(f"Not changed, needs a decision: {difference}")
    if done.snapshot:
        say(f"{sum(done.snapshot.values()):,} rows that were there already are delivered.")


@app.command()
def repair(
    tables: Annotated[list[str] | None, typer.Argument(help="Tables to deliver again.", show_default="all")] = None,
) -> None:
    """Close a gap: make a lost slot anew, deliver all current rows, and what the histories have since the gap began."""
    from payments_platform.settings import load_settings
    from payments_platform.streaming.capture.build import capture_of
    from payments_platform.streaming.capture.repair import repair as repair_capture

    capture = capture_of(load_settings(), say)
    unknown = sorted(set(tables or ()) - set(capture.tables))
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is not captured; captured are {', '.join(capture.tables)}")
    _say_repaired(repair_capture(capture, tables or ()))


@app.command()
def raise_epoch() -> None:
    """After a failover or a restore of the source: what is captured from now on is newer than all before.

    Every current row is delivered under the new epoch; rows that only the lost source had are taken back. Programs that
    run read the new epoch when they are started again.
    """
    from dataclasses import replace

    from payments_platform.settings import load_settings
    from payments_platform.streaming.capture.build import capture_of
    from payments_platform.streaming.capture.repair import next_epoch
    from payments_platform.streaming.capture.repair import raise_epoch as raise_capture

    settings = load_settings()
    capture = capture_of(settings, say)
    capture = replace(capture, epoch=next_epoch(capture))
    _say_repaired(raise_capture(capture, settings.keep_epoch))
    say(f"The epoch is {capture.epoch}.")


def _say_repaired(done: "Repaired") -> None:
    rows, changes = sum(done.rows.values()), sum(done.changes.values())
    slot = "The slot was made anew. " if done.made_slot else ""
    say(f"{slot}{rows:,} current rows and {changes:,} changes of the histories are delivered.")
    if done.phantoms:
        say(f"{done.phantoms:,} rows that the source does not have are taken back.")


@app.command()
def pause() -> None:
    """Stop capturing for a while. The source keeps its log meanwhile, up to its limit: see status."""
    _change("pause", "PAUSED")


@app.command()
def resume() -> None:
    """Go on where capture was paused or stopped. Refused while there is a gap, which going on would hide."""
    from payments_platform.settings import load_settings
    from payments_platform.streaming.capture.build import places_of
    from payments_platform.streaming.capture.control import CaptureGap
    from payments_platform.streaming.capture.judge import GAP, REWOUND, judge
    from payments_platform.streaming.capture.observe import observe

    gaps = [finding for finding in judge(observe(places_of(load_settings()))) if finding.name in {GAP, REWOUND}]
    if gaps:
        raise CaptureGap(gaps[0].text)
    _change("resume", "RUNNING")


def _change(verb: str, state: str) -> None:
    from payments_platform.settings import load_settings
    from payments_platform.streaming.capture.build import capture_of
    from payments_platform.streaming.capture.connector import CONNECTOR

    connect = capture_of(load_settings()).connect
    connect.change_state(CONNECTOR, "pause" if verb == "pause" else "resume")
    connect.await_state(CONNECTOR, state)
    say(f"The connector is {state}.")


@app.command()
def remove(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete connector, position and slot, so that the source keeps no log for capture. Topics stay."""
    from payments_platform.settings import load_settings
    from payments_platform.streaming.capture.apply import remove as remove_capture
    from payments_platform.streaming.capture.build import capture_of

    if not yes:
        typer.confirm("Changes from now on will not be captured. Remove change capture?", abort=True)
    remove_capture(capture_of(load_settings(), say))
    say("Change capture is removed. Run payments capture apply to begin anew.")


@app.command()
def watch(
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Serve Prometheus metrics on 127.0.0.1.", show_default="off")
    ] = None,
    apply_first: Annotated[
        bool, typer.Option("--apply/--no-apply", help="Set capture up with the first look, as `capture apply` does.")
    ] = True,
) -> None:
    """Guard capture until Ctrl-C or SIGTERM: set it up, restart what fails, tell what is wrong."""
    from prometheus_client import start_http_server

    from payments_platform.settings import load_settings
    from payments_platform.streaming.capture.build import capture_of, places_of
    from payments_platform.streaming.capture.watch import Guardian

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = load_settings()
    log = logging.getLogger("payments.capture")
    with stopped_by_signals() as stop:
        state = settings.home / "run" / "capture.json"
        guardian = Guardian(capture_of(settings, log.info), places_of(settings), state, is_applied=not apply_first)
        if metrics_port is not None:
            start_http_server(metrics_port, addr="127.0.0.1", registry=guardian.metrics.registry)
        guardian.run(stop)
