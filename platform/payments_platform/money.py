"""Money as integers: minor units, ISO 4217 exponents, conversion with dated rates.

Belongs here: what a currency is and how an amount is rounded. Does not: where rates come from (oltp/), how frames are
converted (batch/conform.py). A float never appears.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

import pycountry

# ISO 4217, list one: the currencies whose minor unit is not 1/100.
_EXPONENT_EXCEPTIONS: Final[dict[str, int]] = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(),
        0,
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}
# ISO 4217 codes without a minor unit: metals, bond units, test and no-currency codes. Nobody pays in them.
_NOT_MONEY: Final = frozenset("XAU XAG XPT XPD XBA XBB XBC XBD XDR XSU XUA XTS XXX".split())

EXPONENT: Final[dict[str, int]] = {
    currency.alpha_3: _EXPONENT_EXCEPTIONS.get(currency.alpha_3, 2)
    for currency in pycountry.currencies
    if currency.alpha_3 not in _NOT_MONEY
}
CURRENCIES: Final[tuple[str, ...]] = tuple(sorted(EXPONENT))
COUNTRIES: Final[tuple[str, ...]] = tuple(sorted(country.alpha_2 for country in pycountry.countries))


def currencies_with(exponent: int) -> tuple[str, ...]:
    """The ISO 4217 codes whose minor unit is ``10**-exponent`` of the major unit."""
    return tuple(code for code in CURRENCIES if EXPONENT[code] == exponent)


def to_minor(amount: Decimal, currency: str) -> int:
    """An amount in major units as minor units, exactly.

    Raises ValueError for an unknown currency or for more decimals than the currency has: rounding here would invent
    or destroy money.
    """
    if currency not in EXPONENT:
        raise ValueError(f"unknown currency {currency!r}")
    scaled = amount.scaleb(EXPONENT[currency])
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} has more decimals than {currency} allows ({EXPONENT[currency]})")
    return int(scaled)


def to_usd_minor(amount_minor: int, currency: str, usd_rate: Decimal) -> int:
    """US cents of an amount at ``usd_rate`` dollars per major unit, rounded half to even: the scalar reference."""
    dollars = Decimal(amount_minor).scaleb(-EXPONENT[currency]) * usd_rate
    return int(dollars.scaleb(EXPONENT["USD"]).to_integral_value(ROUND_HALF_EVEN))
