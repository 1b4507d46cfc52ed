"""The plan of a run of kills over the speed layer: who is killed, under what load, after how long. A seed decides all.

Belongs here: choosing. Does not: killing (stream_run.py).
"""

import random
from dataclasses import dataclass, replace
from typing import Final, Literal

Load = Literal["traffic", "load", "simulate"]

# Every kind of process of the speed layer, by the name of its service.
TARGETS: Final = (
    "primary",
    "kafka",
    "connect",
    "capture",
    "processor",
    "sink-mongodb",
    "sink-elasticsearch",
    "sink-lake",
    "mongodb",
    "elasticsearch",
    "daemon",
)
ROUNDS: Final = 6
# Live traffic never stops; in one round of three a bulk command works beside it.
_LOADS: Final[tuple[Load, ...]] = ("traffic", "load", "simulate", "traffic", "traffic", "traffic")
_OVERLAPPING: Final = 0.3


@dataclass(frozen=True)
class Kill:
    """One kill: ``after`` seconds from when the one before was back, or, with ``overlaps``, from that kill itself."""

    number: int
    target: str
    load: Load
    after: float
    overlaps: bool

    def __str__(self) -> str:
        since = "after the kill before" if self.overlaps else "after all was back"
        return f"{self.number:02} {self.target} under {self.load}, {self.after:.1f} s {since}"


def plan(seed: int, rounds: int = ROUNDS) -> list[Kill]:
    """Each round kills every kind of process once, in an order of its own; the same seed gives the same plan."""
    chance = random.Random(seed)
    kills: list[Kill] = []
    for number in range(rounds):
        for target in chance.sample(TARGETS, len(TARGETS)):
            overlaps = bool(kills) and chance.random() < _OVERLAPPING
            load = _LOADS[number % len(_LOADS)]
            kills.append(Kill(len(kills) + 1, target, load, round(chance.uniform(0.3, 3.0), 1), overlaps))
    return kills


def hurried(kills: list[Kill]) -> list[Kill]:
    """The same kills in half the time, none of which waits for what the one before has hit."""
    return [replace(kill, after=round(kill.after / 2, 1), overlaps=at > 0) for at, kill in enumerate(kills)]
