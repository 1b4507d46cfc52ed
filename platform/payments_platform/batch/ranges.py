"""Reading ranges ahead of their use, by a few sessions, in order.

Belongs here: the ranges of a table's blocks and the bounded read-ahead. Does not: what is read.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Chunk:
    """Rows of a condition within blocks ``[first, end)`` of the table; ``end`` None is its end."""

    condition: str
    first: int
    end: int | None

    @property
    def blocks(self) -> str:
        """The condition on blocks, as SQL; nothing when the chunk is the whole table."""
        lower = f" AND ctid >= '({self.first},0)'::tid" if self.first else ""
        upper = "" if self.end is None else f" AND ctid < '({self.end},0)'::tid"
        return lower + upper


class ReadAhead(Generic[T]):
    """Reads chunks by ``workers`` sessions, at most ``workers`` results ahead of the one that is taken.

    Chunks are taken in the order given; one that is passed over is dropped. Leaving the block waits for what runs and
    closes the sessions.
    """

    def __init__(
        self,
        chunks: Sequence[Chunk],
        session: Callable[[], AbstractContextManager[Callable[[Chunk], T]]],
        workers: int,
    ) -> None:
        self._waiting: Iterator[Chunk] = iter(chunks)
        self._running: dict[Chunk, Future[T]] = {}
        self._session, self._ahead = session, workers
        self._idle: SimpleQueue[Callable[[Chunk], T]] = SimpleQueue()
        self._sessions = ExitStack()
        self._workers = min(workers, len(chunks))
        self._pool = ThreadPoolExecutor(max(self._workers, 1), thread_name_prefix="extract")

    def __enter__(self) -> Self:
        try:
            for _ in range(self._workers):
                self._idle.put(self._sessions.enter_context(self._session()))
        except BaseException:
            self._sessions.close()
            raise
        self._read_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._sessions.close()

    def take(self, chunk: Chunk) -> T:
        """The result of a chunk, waiting for it. Raises what reading it raised."""
        while (first := next(iter(self._running), None)) is not chunk:
            if first is None:
                self._submit(next(self._waiting))
            else:
                self._running.pop(first).cancel()
        result = self._running.pop(chunk)
        self._read_on()
        return result.result()

    def _read_on(self) -> None:
        while len(self._running) < self._ahead:
            chunk = next(self._waiting, None)
            if chunk is None:
                return
            self._submit(chunk)

    def _submit(self, chunk: Chunk) -> None:
        self._running[chunk] = self._pool.submit(self._read, chunk)

    def _read(self, chunk: Chunk) -> T:
        read = self._idle.get()
        try:
            return read(chunk)
        finally:
            self._idle.put(read)
