"""What happens to a payment after it began: processing, capture, failure, refunds, disputes.

Belongs here: statuses, running totals and the instants at which they change. Does not: who pays whom (payments.py).
Each step is legal by the status table of the contract; defects are planted elsewhere.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from payments_platform.contracts.payments import STATUSES

PENDING, PROCESSING, SUCCEEDED, FAILED, REFUNDED, PARTIALLY_REFUNDED, DISPUTED = range(len(STATUSES))
_SECOND, _MINUTE, _HOUR, _DAY = 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000
# How payments begin: paid at once, refused at once, debited from a bank (pending first), card captured days later.
_AT_ONCE, _REFUSED, _DEBIT, _CAPTURED_LATER = range(4)
_BEGINNINGS: Final = np.array([0.85, 0.91, 0.955, 1.0])
# Share of the disputed frauds in which the merchant is right all the same.
_FRAUD_WON: Final = 0.15


@dataclass(frozen=True)
class Step:
    """One later version of some payments: their places in the day, and the state each gets."""

    rows: np.ndarray
    at: np.ndarray
    status: np.ndarray
    captured: np.ndarray
    refunded: np.ndarray


@dataclass
class Lives:
    """State of a day's payments while their lives are told; ``steps[n]`` holds each payment's version ``n + 2``."""

    at: np.ndarray
    amount: np.ndarray
    status: np.ndarray
    captured: np.ndarray
    refunded: np.ndarray
    told: list[Step] = field(default_factory=list)

    def change(self, rows: np.ndarray, after: np.ndarray, status: int) -> None:
        """Record the next version of some payments, ``after`` microseconds later, from the totals as they stand."""
        self.at[rows] += after
        self.status[rows] = status
        self.told.append(
            Step(rows, self.at[rows], self.status[rows], self.captured[rows].copy(), self.refunded[rows].copy())
        )


@dataclass(frozen=True)
class Fates:
    """What is fixed beforehand for some payments: refused or paid at once, disputed weeks later, or months later."""

    rows: np.ndarray
    is_refused: np.ndarray
    is_disputed: np.ndarray
    is_late: np.ndarray


@dataclass(frozen=True)
class Told:
    """First state of every payment, and all later steps in the order of each payment's life."""

    status: np.ndarray
    captured: np.ndarray
    steps: tuple[Step, ...]


def tell(random: np.random.Generator, created: np.ndarray, amount: np.ndarray, fates: Fates) -> Told:
    """Tell the lives of a day's payments. All amounts in minor units, all instants in microseconds since 1970."""
    count = len(created)
    beginning = np.searchsorted(_BEGINNINGS, random.random(count), side="right")
    beginning[fates.rows] = np.where(fates.is_refused, _REFUSED, _AT_ONCE)
    status = np.array([SUCCEEDED, FAILED, PENDING, PROCESSING])[beginning]
    captured = np.where(beginning == _AT_ONCE, amount, 0)
    lives = Lives(created.copy(), amount, status.copy(), captured.copy(), np.zeros(count, dtype=np.int64))
    _debit(random, lives, np.flatnonzero(beginning == _DEBIT))
    _capture(random, lives, np.flatnonzero(beginning == _CAPTURED_LATER))
    _afterwards(random, lives, fates)
    return Told(status, captured, tuple(lives.told))


def _wait(random: np.random.Generator, count: int, least: int, most: int) -> np.ndarray:
    return least + (random.random(count) ** 2 * (most - least)).astype(np.int64)


def _debit(random: np.random.Generator, lives: Lives, rows: np.ndarray) -> None:
    """Pending → processing → succeeded, one in ten failed."""
    lives.change(rows, _wait(random, len(rows), 2 * _SECOND, 20 * _MINUTE), PROCESSING)
    fails = random.random(len(rows)) < 0.1
    paid = rows[~fails]
    lives.captured[paid] = lives.amount[paid]
    lives.change(paid, _wait(random, len(paid), 2 * _HOUR, 3 * _DAY), SUCCEEDED)
    lives.change(rows[fails], _wait(random, int(fails.sum()), 2 * _HOUR, 3 * _DAY), FAILED)


def _capture(random: np.random.Generator, lives: Lives, rows: np.ndarray) -> None:
    """Processing → succeeded when the goods leave; one in five captures a part only."""
    part = random.random(len(rows)) < 0.2
    lives.captured[rows] = np.where(part, lives.amount[rows] * 3 // 4, lives.amount[rows])
    lives.change(rows, _wait(random, len(rows), 1 * _HOUR, 5 * _DAY), SUCCEEDED)


def _afterwards(random: np.random.Generator, lives: Lives, fates: Fates) -> None:
    """Refunds in full or in parts, disputes won or lost, days later."""
    fate = random.random(len(lives.at))
    fate[fates.rows] = 1.0
    paid = (lives.status == SUCCEEDED) & (lives.captured >= 4)
    _refund(random, lives, np.flatnonzero(paid & (fate < 0.030)))
    _refund_part(random, lives, np.flatnonzero(paid & (fate >= 0.030) & (fate < 0.045)))
    _dispute(random, lives, np.flatnonzero(paid & (fate >= 0.045) & (fate < 0.049)), (2 * _DAY, 40 * _DAY), 0.5)
    _dispute(random, lives, fates.rows[fates.is_disputed & ~fates.is_late], (1 * _DAY, 35 * _DAY), _FRAUD_WON)
    _dispute(random, lives, fates.rows[fates.is_disputed & fates.is_late], (20 * _DAY, 50 * _DAY), _FRAUD_WON)


def _refund(random: np.random.Generator, lives: Lives, rows: np.ndarray) -> None:
    lives.refunded[rows] = lives.captured[rows]
    lives.change(rows, _wait(random, len(rows), 1 * _HOUR, 30 * _DAY), REFUNDED)


def _refund_part(random: np.random.Generator, lives: Lives, rows: np.ndarray) -> None:
    """A quarter first; of some the half later, of some all."""
    lives.refunded[rows] = lives.captured[rows] // 4
    lives.change(rows, _wait(random, len(rows), 1 * _HOUR, 20 * _DAY), PARTIALLY_REFUNDED)
    again = random.random(len(rows))
    more = rows[again < 0.2]
    lives.refunded[more] = lives.captured[more] // 2
    lives.change(more, _wait(random, len(more), 1 * _HOUR, 10 * _DAY), PARTIALLY_REFUNDED)
    _refund(random, lives, rows[again > 0.85])


def _dispute(
    random: np.random.Generator, lives: Lives, rows: np.ndarray, wait: tuple[int, int], won_share: float
) -> None:
    """Opened weeks later; those that are won stand, the lost are refunded."""
    lives.change(rows, _wait(random, len(rows), *wait), DISPUTED)
    won = random.random(len(rows)) < won_share
    lives.change(rows[won], _wait(random, int(won.sum()), 5 * _DAY, 20 * _DAY), SUCCEEDED)
    lost = rows[~won]
    lives.refunded[lost] = lives.captured[lost]
    lives.change(lost, _wait(random, len(lost), 5 * _DAY, 20 * _DAY), REFUNDED)
