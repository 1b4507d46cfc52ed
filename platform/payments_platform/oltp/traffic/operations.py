"""What the application does for a customer, each in one transaction: pay, capture, refund, dispute, change a profile.

Belongs here: the choice of what to do next and its SQL, by the application's role. Does not: who takes part (cast.py),
when (pacer.py). Requests are drawn from the seed; which payment a later step meets depends on the moment.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from payments_platform.money import EXPONENT
from payments_platform.oltp import rates
from payments_platform.oltp.simulator import profiles
from payments_platform.oltp.traffic.cast import Cast, Customer, Merchant

if TYPE_CHECKING:
    import psycopg

    Session = psycopg.Connection[tuple[Any, ...]]

PAYMENT, CAPTURE, REFUND, DISPUTE, PROFILE = "payment", "capture", "refund", "dispute", "profile"
_MIX: Final = ((PAYMENT, 0.70), (CAPTURE, 0.85), (REFUND, 0.90), (DISPUTE, 0.92), (PROFILE, 1.0))
_BLOCK: Final = 4_096
# Payments that later steps may choose from; older ones are left alone.
_REMEMBERED: Final = 10_000
_CENTS: Final = 10_000_000
# With its time, a payment is looked for in its month alone.
_THAT: Final = "WHERE transaction_id = %s AND created_at = %s"
_REASONS: Final = ("fraudulent", "product_not_received", "duplicate", "general")


@dataclass(frozen=True)
class Request:
    """One transaction to make; the numbers are places in the cast, and shares in [0, 1)."""

    kind: str
    merchant: int
    customer: int
    size: float
    chance: float


@dataclass(frozen=True)
class Payment:
    """A payment that a later step may meet."""

    transaction_id: str
    merchant_id: str
    currency: str
    amount_minor: int
    created_at: datetime


@dataclass
class Open:
    """Payments by what may happen to them next. Taking one out gives it to one thread alone."""

    processing: deque[Payment] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    paid: deque[Payment] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))


def requests(seed: int, cast: Cast) -> Iterator[Request]:
    """The endless row of requests of a seed; the popular are chosen most."""
    block = 0
    while True:
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 2, block])))
        kinds = np.searchsorted([edge for _, edge in _MIX], random.random(_BLOCK), side="right")
        merchants = (random.random(_BLOCK) ** 2 * len(cast.merchants)).astype(int)
        customers = (random.random(_BLOCK) ** 1.5 * len(cast.customers)).astype(int)
        sizes, chances = np.exp(random.standard_normal(_BLOCK) * 0.8), random.random(_BLOCK)
        columns = (kinds.tolist(), merchants.tolist(), customers.tolist(), sizes.tolist(), chances.tolist())
        for kind, merchant, customer, size, chance in zip(*columns, strict=True):
            yield Request(_MIX[kind][0], merchant, customer, size, chance)
        block += 1


@dataclass(frozen=True)
class Application:
    """One run's payment application. ``name`` is part of every id, so no two runs share one.

    ``paid`` is told of each payment once its commit is acknowledged, from the thread that made it.
    """

    name: str
    cast: Cast
    paid: Callable[[Payment], None] = lambda _: None
    open: Open = field(default_factory=Open)

    def serve(self, session: "Session", request: Request, number: int) -> str:
        """Make one request true in one transaction; return what it was in the end.

        A step that finds no payment to act on is a new payment instead. ``session`` is in autocommit.
        """
        if request.kind == PROFILE:
            _change_profile(session, self.cast.customers[request.customer], request.chance)
            return PROFILE
        waiting = self.open.processing if request.kind == CAPTURE else self.open.paid
        try:
            payment = None if request.kind == PAYMENT else waiting.popleft()
        except IndexError:
            payment = None
        if payment is None:
            self._pay(session, request, number)
            return PAYMENT
        if request.kind == CAPTURE:
            _capture(session, payment)
            self.open.paid.append(payment)
        elif request.kind == REFUND:
            _refund(session, payment, f"ref_live_{self.name}_{number}")
        else:
            reason = _REASONS[int(request.chance * len(_REASONS))]
            _dispute(session, payment, f"dsp_live_{self.name}_{number}", reason)
        return request.kind

    def _pay(self, session: "Session", request: Request, number: int) -> None:
        merchant, customer = self.cast.merchants[request.merchant], self.cast.customers[request.customer]
        status = "failed" if request.chance < 0.06 else "processing" if request.chance < 0.25 else "succeeded"
        name, amount = f"txn_live_{self.name}_{number}", _amount(merchant, request.size)
        created = _create(session, (name, amount, status), merchant, customer, number)
        payment = Payment(name, merchant.merchant_id, merchant.currency, amount, created)
        self.paid(payment)
        if status == "processing":
            self.open.processing.append(payment)
        elif status == "succeeded":
            self.open.paid.append(payment)


def _amount(merchant: Merchant, size: float) -> int:
    scale: int = 10 ** EXPONENT[merchant.currency]
    return max(1, round(merchant.median_usd_minor * size * _CENTS / rates.level(merchant.currency) * scale))


def _create(
    session: "Session", paid: tuple[str, int, str], merchant: Merchant, customer: Customer, number: int
) -> datetime:
    name, minor, status = paid
    amount = Decimal(minor).scaleb(-EXPONENT[merchant.currency])
    address = f"{profiles.NETWORKS[number % len(profiles.NETWORKS)]}{number % 254 + 1}"
    returned = session.execute(
        "INSERT INTO oltp.transactions (transaction_id, merchant_id, customer_id, customer_token, payment_method_id,"
        " amount, amount_minor, captured_minor, refunded_minor, currency, status, country_code, device_id, ip_address,"
        " description, metadata) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 0, %s, %s, %s, %s, %s, %s, %s)"
        " RETURNING created_at",
        (
            *(name, merchant.merchant_id, customer.customer_id, customer.customer_token, customer.payment_method_id),
            *(amount, minor, minor if status == "succeeded" else 0, merchant.currency, status),
            *(customer.country_code, customer.device_id, address, f"Order {number}", f'{{"order": "{number}"}}'),
        ),
    ).fetchall()
    created: datetime = returned[0][0]
    return created


def _capture(session: "Session", payment: Payment) -> None:
    session.execute(
        f"UPDATE oltp.transactions SET status = 'succeeded', captured_minor = amount_minor {_THAT}",
        (payment.transaction_id, payment.created_at),
    )


def _refund(session: "Session", payment: Payment, refund_id: str) -> None:
    """All of it, at once."""
    with session.transaction():
        session.execute(
            "INSERT INTO oltp.refunds (refund_id, transaction_id, merchant_id, amount_minor, currency, reason_code,"
            " status) VALUES (%s, %s, %s, %s, %s, 'requested_by_customer', 'succeeded')",
            (refund_id, payment.transaction_id, payment.merchant_id, payment.amount_minor, payment.currency),
        )
        session.execute(
            f"UPDATE oltp.transactions SET status = 'refunded', refunded_minor = captured_minor {_THAT}",
            (payment.transaction_id, payment.created_at),
        )


def _dispute(session: "Session", payment: Payment, dispute_id: str, reason: str) -> None:
    with session.transaction():
        session.execute(
            "INSERT INTO oltp.disputes (dispute_id, transaction_id, merchant_id, amount_minor, currency, reason_code,"
            " status, evidence_due_at) VALUES (%s, %s, %s, %s, %s, %s, 'needs_response', now() + interval '14 days')",
            (dispute_id, payment.transaction_id, payment.merchant_id, payment.amount_minor, payment.currency, reason),
        )
        session.execute(
            f"UPDATE oltp.transactions SET status = 'disputed' {_THAT}",
            (payment.transaction_id, payment.created_at),
        )


def _change_profile(session: "Session", customer: Customer, chance: float) -> None:
    segment = "business" if chance < 0.2 else "vip" if chance < 0.25 else "consumer"
    session.execute("UPDATE oltp.customers SET segment = %s WHERE customer_id = %s", (segment, customer.customer_id))
