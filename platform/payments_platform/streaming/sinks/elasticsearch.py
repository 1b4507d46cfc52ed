"""The Elasticsearch sink: payments by their latest version, in one index a day.

Belongs here: talking to the search engine. Does not: mapping, names and documents (search/), what an answer means
(bulk_answers.py), the loop (handler.py).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, cast

import polars as pl

from payments_platform.contracts.stores import SEARCH_TRANSACTIONS
from payments_platform.search import transactions as search
from payments_platform.streaming.dead_letters import FAULT
from payments_platform.streaming.events import REFUSAL
from payments_platform.streaming.sinks import bulk_answers
from payments_platform.streaming.sinks.protocol import SOURCE_POSITION, Span, Wanted, refusals

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

# A request holds at most so much: Elasticsearch takes 100 MB at once, and holds it in memory while it works.
_REQUEST_BYTES: Final = 8 * 2**20
_PAGE: Final = 1_000
# A server whose memory is full refuses what it is asked, for as long as a collection of garbage takes.
_FULL: Final = 429
_WAITS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_KEEP_ALIVE: Final = "1m"
# Nothing but these may come into being by being written to: a misspelt name would be an index without a mapping.
_AUTO_CREATED: Final = f"+{search.PATTERN},-*"
_TIMES: Final = [column.name for column in SEARCH_TRANSACTIONS.columns if isinstance(column.dtype, pl.Datetime)]


class ElasticsearchSink:
    """The indices of payments, one document a payment."""

    name = "elasticsearch"

    def __init__(self, client: "Elasticsearch", clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._client, self._clock = client, clock

    def prepare(self) -> None:
        self._client.indices.put_index_template(name=search.ALIAS, **search.template())
        self._client.cluster.put_settings(persistent={"action.auto_create_index": _AUTO_CREATED})

    def write(self, events: pl.DataFrame) -> pl.DataFrame:
        placed = search.placed(events, self._clock())
        good = placed.filter(pl.col(REFUSAL).is_null())
        refused: dict[int, bulk_answers.Reason] = {}
        for first, lines in _requests(search.bulk_lines(good)):
            answer = self._client.bulk(operations=cast("Any", lines), filter_path=bulk_answers.ASKED)
            refused |= {first + place: reason for place, reason in bulk_answers.refused(answer["items"])}
        misplaced = placed.filter(pl.col(REFUSAL).is_not_null()).select(*SOURCE_POSITION, FAULT, REFUSAL)
        return pl.concat([misplaced, refusals(good, refused)])

    def read(self, wanted: Wanted) -> pl.DataFrame:
        self._client.indices.refresh(index=search.PATTERN)
        return _frame([hit["_source"] for hit in self._hits(_query(wanted))])

    def clear(self) -> None:
        self._remove(self._days())
        self.prepare()

    def close(self) -> None:
        self._client.close()

    def expire(self) -> list[str]:
        """Remove the indices of days that are no longer kept; return their names."""
        oldest = search.first_day(self._clock())
        return self._remove([name for name in self._days() if (search.day_of_index(name) or oldest) < oldest])

    def _days(self) -> list[str]:
        found = self._client.indices.get_alias(index=search.PATTERN, expand_wildcards="all")
        return [name for name in found.body if search.day_of_index(name) is not None]

    def _remove(self, names: Sequence[str]) -> list[str]:
        for name in names:
            # One at a time, by full names: servers refuse patterns here, with reason.
            self._client.indices.delete(index=name, ignore_unavailable=True)
        return list(names)

    def _hits(self, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Every document that matches, page after page of one point in time."""
        opened = self._client.open_point_in_time(index=search.PATTERN, keep_alive=_KEEP_ALIVE)
        view, after = opened["id"], None
        try:
            while True:
                page = self._page(query, view, after)
                hits, view = page["hits"]["hits"], page["pit_id"]
                yield from hits
                if len(hits) < _PAGE:
                    return
                after = hits[-1]["sort"]
        finally:
            self._client.close_point_in_time(id=view)

    def _page(self, query: dict[str, Any], view: str, after: Any) -> Any:  # noqa: ANN401 - as the client has them
        """A page of a view. A server that is full for a moment is asked again; raises ApiError after half a minute."""
        from elasticsearch import ApiError

        waits = iter(_WAITS)
        while True:
            try:
                return self._client.search(
                    query=query, pit={"id": view, "keep_alive": _KEEP_ALIVE}, size=_PAGE, track_total_hits=False,
                    sort=[{"transaction_id": "asc"}, {"_shard_doc": "asc"}], search_after=after,
                )  # fmt: skip
            except ApiError as error:
                if error.status_code != _FULL or (seconds := next(waits, None)) is None:
                    raise
            time.sleep(seconds)


def _query(wanted: Wanted) -> dict[str, Any]:
    if not isinstance(wanted, Span):
        return {"terms": {"transaction_id": list(wanted)}}
    bounds = {"gte": wanted.first, "lt": wanted.end}
    return {"range": {"transaction_id": {name: bound for name, bound in bounds.items() if bound is not None}}}


def _requests(lines: Sequence[bytes]) -> Iterator[tuple[int, Sequence[bytes]]]:
    """The lines in requests that are not too large, each with the number of its first event."""
    starts, size = [0], 0
    for place in range(0, len(lines), 2):
        size += len(lines[place]) + len(lines[place + 1])
        if size > _REQUEST_BYTES and place > starts[-1]:
            starts.append(place)
            size = len(lines[place]) + len(lines[place + 1])
    for first, end in pairwise([*starts, len(lines)]):
        if first < end:
            yield first // 2, lines[first:end]


def _frame(sources: Sequence[dict[str, Any]]) -> pl.DataFrame:
    schema = SEARCH_TRANSACTIONS.schema
    wire = pl.Schema({name: pl.String() if name in _TIMES else dtype for name, dtype in schema.items()})
    rows = pl.DataFrame(sources, schema=wire)
    return rows.with_columns(pl.col(_TIMES).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC"))
