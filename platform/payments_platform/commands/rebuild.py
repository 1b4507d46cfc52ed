"""`payments rebuild`: a store made again.

Belongs here: options, questions, progress. Does not: how it is made again (streaming/rebuild.py, rebuild_lake.py).
"""

from contextlib import closing
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from payments_platform.commands.saying import counting, say

if TYPE_CHECKING:
    from payments_platform.settings import Settings

app = typer.Typer()


class Store(StrEnum):
    """What the stream feeds."""

    MONGODB = "mongodb"
    ELASTICSEARCH = "elasticsearch"
    LAKE = "lake"


class Origin(StrEnum):
    """What a store is filled from."""

    LAKE = "lake"
    KAFKA = "kafka"


@app.command()
def rebuild(
    sink: Annotated[Store, typer.Argument(metavar="SINK", help="mongodb, elasticsearch or lake.")],
    origin: Annotated[
        Origin, typer.Option("--from", help="lake: its segments, then the rest of the topic. kafka: the topic alone.")
    ] = Origin.LAKE,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Empty a store and fill it again from what the stream left. Workers may go on; it may be run again at any time.

    The lake is not emptied: it keeps months and the topic a week. Its segments of that week are made again where they
    are wrong or missing, from Kafka, whatever --from says.
    """
    from payments_platform.settings import load_settings

    settings = load_settings()
    if sink is Store.LAKE:
        _rebuild_lake(settings)
        return
    if not yes and not typer.confirm(f"Readers find an empty {sink} until it is filled again. Go on?"):
        raise typer.Exit(1)
    _rebuild_store(settings, sink, origin)


def _rebuild_store(settings: "Settings", sink: Store, origin: Origin) -> None:
    from payments_platform.lake.storage import LocalStorage
    from payments_platform.streaming.rebuild import rebuild_store
    from payments_platform.streaming.sinks import jobs

    over = jobs.mongodb_sink if sink is Store.MONGODB else jobs.elasticsearch_sink
    storage = LocalStorage(settings.lake_root)
    with closing(over(settings)) as filled, counting("events") as advance:
        done = rebuild_store(filled, storage, settings.kafka_servers(), origin.value, advance)
    say(f"{done.events:,} events written to {sink} again, {done.refused:,} refused as at the first time.")
    say("Next: payments verify")


def _rebuild_lake(settings: "Settings") -> None:
    from payments_platform.lake.storage import LocalStorage
    from payments_platform.streaming import reading
    from payments_platform.streaming.lag import lags_of
    from payments_platform.streaming.rebuild_lake import LakeRebuild
    from payments_platform.streaming.sinks.jobs import LAKE
    from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS

    servers = settings.kafka_servers()
    committed = {it.partition: it.committed for it in lags_of(servers, [LAKE])}
    messages = partial(reading.between, servers, ANALYTICS_TRANSACTIONS)

    def kept(partition: int) -> tuple[int, int]:
        return reading.held(servers, ANALYTICS_TRANSACTIONS).get(partition, (0, 0))

    again = LakeRebuild(LocalStorage(settings.lake_root), messages, kept, settings.flush_records)
    with counting("offsets") as advance:
        done = again.run(committed, advance)
    say(f"Segments: {done.kept:,} right, {done.replaced:,} written again, {done.made:,} that were missing.")
    if done.left:
        say(f"{done.left:,} stay as they are: the topic has less of them than the lake, as the lines above say.")
    say("Next: payments verify")
