"""Rules that several datasets share, each written once.

Belongs here: rule makers with a column as argument. Does not: rules of one dataset only (its domain file), the code
that applies rules (batch/validate.py).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import and_
from typing import Final

import narwhals as nw

from payments_platform.contracts.dataset import Column, Dataset, PartitionRule, Pii, Rule, Severity
from payments_platform.money import COUNTRIES, CURRENCIES, currencies_with

CHANGE_OPS: Final = ("c", "u", "d")
DELETE_OP: Final = "d"
# More than any payment, and little enough that the sums of a warehouse keep fitting 64 bits.
MAX_AMOUNT_MINOR: Final = 10**15
# Beyond every time zone: a local time taken for UTC is 14 hours ahead at most, and is a wrong order, not a wrong clock.
MAX_CLOCK_SKEW: Final = timedelta(days=1)
# Before any card was charged through an API; later than the zeros of every clock (1900, 1904, 1970, 1980).
EARLIEST_CREATED: Final = datetime(2000, 1, 1, tzinfo=UTC)

UNIQUE_KEY = PartitionRule("P-unique-key", "no two rows of the day share the primary key")
ROWS_AS_SOURCE = PartitionRule("P-source-rows", "the rows are as many as the source counted in the same snapshot")
SUMS_AS_SOURCE = PartitionRule("P-source-sums", "the sum of each currency is the one that the source counted")
WITHIN_DAY = PartitionRule("P-within-day", "every version was written on the partition's day, so none after the cut")
ROWS_CONSERVED = PartitionRule("P-rows-conserved", "every raw row is clean, quarantined or superseded")
BAD_RATIO = "P-bad-ratio"
TEXT_PAN = PartitionRule("W-text-pan", "free text holds no card number (those found are masked)", Severity.WARN)
TEXT_EMAIL = PartitionRule("W-text-email", "free text holds no e-mail address", Severity.WARN)
TEXT_PHONE = PartitionRule("W-text-phone", "free text holds no international telephone number", Severity.WARN)
TEXT_IBAN = PartitionRule("W-text-iban", "free text holds no bank account number (IBAN)", Severity.WARN)
TEXT_RULES: Final = (TEXT_PAN, TEXT_EMAIL, TEXT_PHONE, TEXT_IBAN)
ROWS_AS_USUAL = PartitionRule(
    "W-rows-as-usual", "the day has about as many versions as the median of the seven days before", Severity.WARN
)
NULLS_AS_USUAL = PartitionRule(
    "W-nulls-as-usual", "each column is empty about as often as on the days before", Severity.WARN
)
MIX_AS_USUAL = PartitionRule(
    "W-mix-as-usual", "listed values and sizes of amounts are mixed as on the days before", Severity.WARN
)


def partition_rules(dataset: Dataset) -> tuple[PartitionRule, ...]:
    """What a whole day of the dataset must satisfy, by its zone; () for what has no days."""
    if not dataset.is_daily:
        return ()
    if dataset.zone == "raw":
        of_history = (WITHIN_DAY,) if "updated_at" in dataset.names else ()
        of_text = TEXT_RULES if any(column.pii is Pii.FREE_TEXT for column in dataset.columns) else ()
        return (UNIQUE_KEY, ROWS_AS_SOURCE, *((SUMS_AS_SOURCE,) if dataset.sums else ()), *of_history, *of_text)
    if dataset.zone == "clean":
        usual = (ROWS_AS_USUAL, NULLS_AS_USUAL, MIX_AS_USUAL) if dataset.identity else ()
        return (UNIQUE_KEY, ROWS_CONSERVED, bad_ratio(dataset), *usual)
    return (UNIQUE_KEY,)


def rules_of(dataset: Dataset) -> tuple[Rule | PartitionRule, ...]:
    """All that a dataset must satisfy: its own rules, and those of a whole day."""
    return (*dataset.rules, *partition_rules(dataset))


def bad_ratio(clean: Dataset) -> PartitionRule:
    """The share of quarantined rows that a day may have, as the dataset declares it."""
    allowed = f"at most {clean.max_bad_ratio:.0%} of the rows are quarantined"
    return PartitionRule(BAD_RATIO, f"{allowed}, once they are more than {clean.tolerated_bad_rows}")


def applied(rule: Rule, dataset: Dataset) -> nw.Expr:
    """True where a row of the dataset satisfies a rule, or is not asked: a null, a delete's values, a released row."""
    held = nw.coalesce(rule.holds, nw.lit(value=True))
    if not dataset.identity:
        return held
    if rule.is_releasable:
        held = held | nw.col("is_released")
    return held if rule.judges_deletes else held | (nw.col("op") == DELETE_OP)


def values_present(*columns: str) -> Rule:
    """What conforms a clean row: the columns have values, but in a delete whose last values broke a rule."""
    missing = nw.any_horizontal(*(nw.col(name).is_null() for name in columns), ignore_nulls=False)
    reason = f"{', '.join(columns)} must have a value, but in a delete that carries its identity alone"
    return Rule("R-values-present", Severity.ROW, reason, ~missing | nw.col("is_deleted"))


def not_null(rule_id: str, *columns: str) -> Rule:
    """Each of the columns has a value."""
    holds = ~nw.any_horizontal(*(nw.col(name).is_null() for name in columns), ignore_nulls=False)
    return Rule(rule_id, Severity.ROW, f"{', '.join(columns)} must have a value", holds)


def one_of(rule_id: str, column: str, values: Sequence[str]) -> Rule:
    """The column is one of a closed list."""
    shown = ", ".join(values) if len(values) <= 8 else f"{len(values)} known codes"
    return Rule(
        rule_id,
        Severity.ROW,
        f"{column} must be one of: {shown}",
        nw.col(column).is_in(list(values)),
        closed_list=(column, tuple(values)),
    )


def reference_known(column: Column) -> Rule:
    """The source knew what the row refers to, as its own check says (``is_<entity>_known``).

    A warning: a payment that names nobody known is a payment all the same, and the marts give it an inferred member.
    """
    entity = column.name.removeprefix("is_").removesuffix("_known")
    reason = f"the {entity.replace('_', ' ')} that the row names should be known to the source"
    return Rule(f"R-{entity.replace('_', '-')}-reference", Severity.WARN, reason, nw.col(column.name))


def reference_rules(columns: Sequence[Column]) -> tuple[Rule, ...]:
    """A warning for each reference that the source checks."""
    return tuple(
        reference_known(column)
        for column in columns
        if column.name.startswith("is_") and column.name.endswith("_known")
    )


def matches(rule_id: str, column: str, pattern: str, reason: str) -> Rule:
    """The column has the given form (a regular expression over the whole value)."""
    return Rule(rule_id, Severity.ROW, reason, nw.col(column).str.contains(pattern))


def token_form(column: str, prefix: str) -> Rule:
    """The column is a pseudonym: its prefix and a keyed hash of 256 bits. Anything else could be a clear identifier."""
    reason = f"{column} must be {prefix}_ and 64 hexadecimal digits"
    return matches("R-token-format", column, rf"^{prefix}_[0-9a-f]{{64}}$", reason).of_deletes()


def currency_known(column: str = "currency") -> Rule:
    """ISO 4217 alphabetic code of a currency that people pay in."""
    return one_of("R-currency-known", column, CURRENCIES)


def country_known(column: str = "country_code") -> Rule:
    """ISO 3166-1 alpha-2 code."""
    return one_of("R-country-known", column, COUNTRIES).releasable()


def op_known() -> Rule:
    """A version is a create, an update or a delete."""
    return one_of("R-op-known", "op", CHANGE_OPS).of_deletes()


def amount_limit(*columns: str) -> Rule:
    """The amounts are such as can be summed: no decision about a row may waive it."""
    names = columns or ("amount_minor",)
    within = [(nw.col(name) <= MAX_AMOUNT_MINOR) & (nw.col(name) >= -MAX_AMOUNT_MINOR) for name in names]
    reason = f"{', '.join(names)} must lie within {MAX_AMOUNT_MINOR} either way: beyond, sums in the warehouse overflow"
    return Rule("R-amount-limit", Severity.ROW, reason, reduce(and_, within))


def amount_sign(column: str = "amount_minor") -> Rule:
    """The amount is not negative."""
    reason = f"{column} must not be negative"
    return Rule("R-amount-sign", Severity.ROW, reason, nw.col(column) >= 0).releasable()


def amount_positive(column: str = "amount_minor") -> Rule:
    """The amount is more than nothing: a refund or a dispute of nothing is none."""
    return Rule("R-amount-positive", Severity.ROW, f"{column} must be more than 0", nw.col(column) > 0).releasable()


def status_transition(transitions: Mapping[str, Sequence[str]]) -> Rule:
    """The status follows legally from the one before; staying is legal, and so is the first.

    A status before that is no known one says nothing: it was quarantined itself.
    """
    previous, status = nw.col("previous_status"), nw.col("status")
    legal = previous.is_null() | (previous == status)
    for before, after in transitions.items():
        legal = legal | ((previous == before) & status.is_in(list(after)))
    legal = legal | ~previous.is_in(list(transitions))
    reason = "the status must be reachable from the one before"
    return Rule("R-status-transition", Severity.ROW, reason, legal).releasable()


def time_order() -> Rule:
    """A row is created before it changes. Beyond MAX_CLOCK_SKEW it is a wrong clock (``clock_skew``) and no order."""
    created, updated = nw.col("created_at"), nw.col("updated_at")
    return Rule(
        "R-time-order",
        Severity.ROW,
        "created_at must not be after updated_at",
        (created <= updated) | (created > updated + MAX_CLOCK_SKEW),
        judges_deletes=True,
        is_releasable=True,
    )


def clock_skew() -> Rule:
    """The clock that dated the row and the source's clock are of one time.

    The source writes ``updated_at`` with its own clock, ``created_at`` may come with the event. A create dated more
    than MAX_CLOCK_SKEW ahead, or before EARLIEST_CREATED, was dated by no working clock: as fact of its day it would
    be money of a day that has not come, or of 1970.
    """
    created = nw.col("created_at")
    return Rule(
        "R-clock-skew",
        Severity.ROW,
        f"created_at must not be more than {MAX_CLOCK_SKEW.days} day after updated_at, nor before"
        f" {EARLIEST_CREATED:%Y-%m-%d}",
        (created <= nw.col("updated_at") + MAX_CLOCK_SKEW) & (created >= EARLIEST_CREATED),
        judges_deletes=True,
        is_releasable=True,
    )


def minor_units_per_e4() -> nw.Expr:
    """How many ten-thousandths of a major unit one minor unit is, by currency: 10**(4 - exponent)."""
    currency = nw.col("currency")
    return (
        nw.when(currency.is_in(list(currencies_with(0))))
        .then(nw.lit(10_000))
        .otherwise(
            nw.when(currency.is_in(list(currencies_with(3))))
            .then(nw.lit(10))
            .otherwise(nw.when(currency.is_in(list(currencies_with(4)))).then(nw.lit(1)).otherwise(nw.lit(100)))
        )
    )
