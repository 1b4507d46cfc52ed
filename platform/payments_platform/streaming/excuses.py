"""What dead letters excuse: versions that a store need not have, messages that a topic has again after a replay.

Belongs here: which states and which consumers excuse. Does not: letters and their ends
(dead_letters.py, dead_letter_ledger.py), what a store owes (verification.py).
"""

from typing import Final

import polars as pl

from payments_platform.contracts.dead_letters import LETTER_ID, LetterState
from payments_platform.streaming.dead_letter_ledger import STATE, ends
from payments_platform.streaming.dead_letters import LEFT_OUT_VERSION, letters
from payments_platform.streaming.message_version import version_of
from payments_platform.streaming.reading import read_whole
from payments_platform.streaming.verification import VERSION
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS, STATE_DEAD_LETTERS, dead_letters, topic

CONSUMER: Final = "consumer"
REFUSED: Final = pl.Schema({**VERSION, CONSUMER: pl.String()})
_PLACE: Final = pl.Schema({"topic_partition": pl.Int32(), "topic_offset": pl.Int64()})
# The message was written to its topic again, so whoever reads the topic owes it again. Of all others nothing was
# written: a letter that is open or parked waits for a person; of one that was discarded, that expired, or for which a
# newer message stands in a compacted topic (superseded), the version never comes.
_WRITTEN_AGAIN: Final = (LetterState.REPLAYED.value, LetterState.REPAIRED.value)


def read_excuses(servers: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What ``standing`` and ``replayed`` say of the letters about payments that the broker has. Raises BrokerAway."""
    topics = [dead_letters(name) for name in (topic("transactions"), ANALYTICS_TRANSACTIONS)]
    found, ended = letters(read_whole(servers, topics)), ends(read_whole(servers, [STATE_DEAD_LETTERS]))
    return standing(found, ended), replayed(ended)


def standing(found: pl.DataFrame, ended: pl.DataFrame) -> pl.DataFrame:
    """Payment, version and consumer (``REFUSED``) of the letters whose message was not written again, each once.

    A letter that says neither payment nor version excuses nothing, nor does one that its topic has removed.
    """
    written_again = ended.filter(pl.col(STATE).is_in(_WRITTEN_AGAIN))
    waiting = found.join(written_again, on=LETTER_ID, how="anti")
    told = waiting.select("value", *LEFT_OUT_VERSION).iter_rows()
    versions = [left_out if value is None else version_of(value) or (None, None) for value, *left_out in told]
    named = pl.DataFrame(versions, schema=VERSION, orient="row").with_columns(waiting[CONSUMER])
    return named.drop_nulls().unique()


def replayed(ended: pl.DataFrame) -> pl.DataFrame:
    """Where messages of analytics.transactions were written again, by partition and offset."""
    is_again = pl.col(STATE).is_in(_WRITTEN_AGAIN) & (pl.col("source_topic") == ANALYTICS_TRANSACTIONS)
    places = ended.filter(is_again).select("new_partition", "new_offset").drop_nulls()
    return pl.DataFrame(dict(zip(_PLACE.names(), places.get_columns(), strict=True)), schema=_PLACE)


def once(rows: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Messages without those at ``places`` that say what another says: a replay is no duplicate.

    A sink that refused an event gets it by the topic, which has it twice then, for all that read it.
    """
    on, told = _PLACE.names(), [name for name in rows.columns if name not in {*_PLACE, "appended_at"}]
    first, again = rows.join(places, on=on, how="anti"), rows.join(places, on=on, how="semi")
    return pl.concat([first, again.unique(told).join(first, on=told, how="anti", nulls_equal=True)])


def excused(refused: pl.DataFrame, *consumers: str) -> pl.DataFrame:
    """The versions (``VERSION``) that one of these consumers refused."""
    return refused.filter(pl.col(CONSUMER).is_in(consumers)).select(VERSION.names()).unique()
