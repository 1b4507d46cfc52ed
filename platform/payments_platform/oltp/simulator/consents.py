"""What customers allow and forbid: decided once, changed by some, each change a version.

Belongs here: the decisions of the start and of newcomers. Does not: later changes (changes.py).
"""

from typing import Final

import numpy as np
import polars as pl

from payments_platform.contracts.consents import CONSENT_PURPOSES
from payments_platform.oltp.simulator import people

# Decided by that share of the customers, each purpose by half of those.
_DECIDED: Final = 0.3
_GRANTED: Final = (0.55, 0.7, 0.4, 0.15)
CHANNELS: Final = (("web", 50), ("app", 40), ("support", 10))


def decisions(random: np.random.Generator, customers: people.Customers, sure: int = 0) -> pl.DataFrame:
    """First versions of the consents of some customers, at the instants at which the source learns of them.

    The last ``sure`` customers have all decided about the first purpose.
    """
    count = len(customers.ids)
    has_decided = random.random(count) < _DECIDED
    asked = has_decided[:, None] & (random.random((count, len(CONSENT_PURPOSES))) < 0.5)
    asked[count - sure :, 0] = True
    owner, purpose = np.nonzero(asked)
    granted = random.random(len(owner)) < np.array(_GRANTED)[purpose]
    ids = customers.ids.gather(owner)
    return pl.DataFrame(
        {
            "consent_id": consent_ids(ids, purpose),
            "customer_id": ids,
            "customer_token": customers.tokens.gather(owner),
            "purpose": people.words(CONSENT_PURPOSES, purpose),
            "is_granted": granted,
            "channel": people.pick(random, CHANNELS, len(owner)),
            "created_at": customers.rows["created_at"].gather(owner),
            "updated_at": customers.rows["updated_at"].gather(owner),
        }
    )


def consent_ids(customer_ids: pl.Series, purposes: np.ndarray) -> pl.Series:
    """One id for each customer and purpose."""
    number = pl.Series(purposes.astype(np.int64)).cast(pl.String)
    return pl.select(pl.lit("cns_") + customer_ids.str.slice(4) + "_" + number).to_series()
