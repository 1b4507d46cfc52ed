"""Payments that went from a status to one that cannot follow it: refused, as the batch quarantines them.

Belongs here: applying the contract's rule to a batch of changes. Does not: the rule (contracts/payments.py).
"""

from typing import Final

import narwhals as nw
import polars as pl

from payments_platform.contracts.dead_letters import Fault
from payments_platform.contracts.payments import TRANSACTION_RULES
from payments_platform.streaming.dead_letters import FAULT
from payments_platform.streaming.events import REFUSAL

_RULE: Final = next(rule for rule in TRANSACTION_RULES if rule.id == "R-status-transition")


def split(changes: pl.DataFrame, messages: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The changes that obey the rule, and the messages of the others with ``fault`` and ``refusal``.

    A delete has no next status, and a snapshot does not know the one before: both pass.
    """
    statuses = changes.select("status", pl.col("before_status").alias("previous_status"))
    follows = nw.from_native(statuses).select(holds=_RULE.holds).to_native()["holds"].fill_null(value=True)
    legal = follows | changes["is_deleted"]
    if legal.all():
        return changes, messages.clear().with_columns(pl.lit("").alias(FAULT), pl.lit("").alias(REFUSAL))
    refused = messages.join(changes.filter(~legal), on=("partition", "offset"), how="semi", maintain_order="left")
    words = f"{_RULE.reason} ({_RULE.id})"
    fault = pl.lit(Fault.TRANSITION.value)
    return changes.filter(legal), refused.with_columns(fault.alias(FAULT), pl.lit(words).alias(REFUSAL))
