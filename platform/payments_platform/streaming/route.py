"""Which event goes to which topic.

Belongs here: the pure step from events to messages. Does not: counters (counter_state.py), writing (transactions.py).
"""

from typing import Final

import polars as pl

from payments_platform.streaming.events import encode
from payments_platform.streaming.outgoing import Outgoing
from payments_platform.vocabulary import ANALYTICS_TRANSACTIONS, FRAUD_CANDIDATES

# In these states a decision about fraud still changes what happens to the payment.
UNDECIDED: Final = ("pending", "processing")


def route(events: pl.DataFrame) -> list[Outgoing]:
    """All events for the stores, and new payments that can still be stopped for the fraud model.

    ``events``: the contract's columns, partition, key, and ``is_new``: the first event of a payment, told first now.

    A message stays in the partition of its change, so that all of a payment's events stay in order. A candidate is
    sent once, at once: waiting for a late customer would cost the time in which it can be stopped.
    """
    messages: list[Outgoing] = []
    for part in events.partition_by("partition") if events["partition"].n_unique() > 1 else [events]:
        if part.is_empty():
            continue
        partition, keys, values = part["partition"][0], part["key"].to_list(), encode(part).to_list()
        messages.append(Outgoing(ANALYTICS_TRANSACTIONS, partition, keys, values))
        chosen = is_candidate(part)
        if chosen:
            candidates = ([keys[row] for row in chosen], [values[row] for row in chosen])
            messages.append(Outgoing(FRAUD_CANDIDATES, partition, *candidates))
    return messages


def is_candidate(events: pl.DataFrame) -> list[int]:
    """Places of the new payments that nobody has decided about."""
    undecided = pl.col("is_new") & pl.col("status").is_in(UNDECIDED)
    return events.select(undecided.fill_null(value=False).arg_true()).to_series().to_list()
