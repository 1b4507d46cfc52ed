"""Pseudonyms of customers: minted once, when the customer is created, stored, never computed again.

Belongs here: the one function that mints. Does not: the key (settings), who stores tokens, erasure.
"""

import hmac
from collections.abc import Iterable

from pydantic import SecretStr


def mint(customer_ids: Iterable[str], key: SecretStr) -> list[str]:
    """Return ``tok_`` and 64 hexadecimal digits (HMAC-SHA256 of the id) for each customer, in order.

    Keyed, because customer ids can be guessed: a plain hash could be turned back by hashing all of them.
    """
    secret = key.get_secret_value().encode()
    return [f"tok_{hmac.digest(secret, customer_id.encode(), 'sha256').hex()}" for customer_id in customer_ids]
