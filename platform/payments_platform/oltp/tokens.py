"""Pseudonyms of customers and devices: minted once, when one is created, stored, never computed again.

Belongs here: the one function that mints. Does not: the key (settings), who stores tokens, erasure.
"""

import hmac
from collections.abc import Iterable

from pydantic import SecretStr


def mint(ids: Iterable[str], key: SecretStr, prefix: str = "tok") -> list[str]:
    """Return the prefix, ``_`` and 64 hexadecimal digits (HMAC-SHA256 of the id) for each id, in order.

    ``tok`` for customers, ``dvt`` for devices. Keyed, because ids can be guessed: a plain hash could be turned back by
    hashing all of them.
    """
    secret = key.get_secret_value().encode()
    return [f"{prefix}_{hmac.digest(secret, name.encode(), 'sha256').hex()}" for name in ids]
