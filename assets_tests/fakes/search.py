"""Elasticsearch in memory: what the sink uses of its client, with external versions, strict mappings and aliases.

Belongs here: bulk writes, searches by id and range, templates, indices. Does not: analysis of texts, scores.
"""

import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from elastic_transport import ConnectionError as Unreachable

Found = dict[str, Any]


class MemoryElasticsearch:
    """Indices of documents by id.

    ``busy`` are ids to put off once, ``failing`` gives an id's status and error; ``is_away`` makes every call fail.
    """

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, tuple[int, Found]]] = {}
        self.templates: dict[str, dict[str, Any]] = {}
        self.settings: dict[str, Any] = {}
        self.busy: set[str] = set()
        self.failing: dict[str, tuple[int, dict[str, Any]]] = {}
        self.is_away = False
        self.indices = SimpleNamespace(
            put_index_template=self._put_template, refresh=self._refresh, get_alias=self._get_alias, delete=self._delete
        )
        self.cluster = SimpleNamespace(put_settings=self._put_settings)

    def bulk(self, *, operations: Sequence[bytes], filter_path: str) -> dict[str, Any]:
        self._answer()
        pairs = zip(operations[::2], operations[1::2], strict=True)
        return {"items": [{"index": self._index(json.loads(a)["index"], json.loads(d))} for a, d in pairs]}

    def open_point_in_time(self, *, index: str, keep_alive: str) -> dict[str, str]:
        self._answer()
        return {"id": "view"}

    def close_point_in_time(self, *, id: str) -> None:  # noqa: A002 - the client's own name
        self._answer()

    def search(
        self,
        *,
        query: Mapping[str, Any],
        size: int,
        index: str | None = None,
        search_after: Sequence[Any] | None = None,
        **_: Any,  # noqa: ANN401 - what changes no answer here
    ) -> dict[str, Any]:
        self._answer()
        hits: list[dict[str, Any]] = [
            {"_id": key, "_index": name, "_source": document, "sort": [document["transaction_id"], place]}
            for place, (name, key, document) in enumerate(self._documents())
            if _matches(document, query) and (index is None or not document["is_deleted"])
        ]
        hits.sort(key=lambda hit: hit["sort"])
        later = [hit for hit in hits if search_after is None or hit["sort"] > list(search_after)]
        return {"hits": {"hits": later[:size]}, "pit_id": "view"}

    def index(self, *, index: str, id: str, document: Found, **_: Any) -> None:  # noqa: A002, ANN401 - the client's own
        self.stored.setdefault(index, {})[id] = (1, document)

    def delete(self, *, index: str, id: str, **_: Any) -> None:  # noqa: A002, ANN401 - the client's own
        del self.stored[index][id]

    def _documents(self) -> list[tuple[str, str, Found]]:
        return [(name, key, it[1]) for name, held in sorted(self.stored.items()) for key, it in sorted(held.items())]

    def _index(self, action: Mapping[str, Any], document: Found) -> dict[str, Any]:
        assert action["version_type"] == "external"
        (template,) = self.templates.values()
        unknown = document.keys() - template["template"]["mappings"]["properties"].keys()
        if unknown:
            return {"status": 400, "error": {"type": "strict_dynamic_mapping_exception"}}
        if action["_id"] in self.busy:
            self.busy.remove(action["_id"])
            return {"status": 429, "error": {"type": "es_rejected_execution_exception"}}
        if action["_id"] in self.failing:
            status, error = self.failing[action["_id"]]
            return {"status": status, "error": error}
        held = self.stored.setdefault(action["_index"], {})
        if action["_id"] in held and held[action["_id"]][0] >= action["version"]:
            return {"status": 409, "error": {"type": "version_conflict_engine_exception"}}
        held[action["_id"]] = (action["version"], document)
        return {"status": 201}

    def _put_template(self, *, name: str, **template: Any) -> None:  # noqa: ANN401 - a template's parts
        self._answer()
        self.templates[name] = template

    def _put_settings(self, *, persistent: dict[str, Any]) -> None:
        self._answer()
        self.settings |= persistent

    def _refresh(self, *, index: str) -> None:
        self._answer()

    def _get_alias(self, *, index: str, expand_wildcards: str) -> SimpleNamespace:
        self._answer()
        return SimpleNamespace(body=dict.fromkeys(self.stored))

    def _delete(self, *, index: str, ignore_unavailable: bool) -> None:
        self._answer()
        assert "*" not in index, "servers refuse patterns here"
        self.stored.pop(index, None)

    def _answer(self) -> None:
        if self.is_away:
            raise Unreachable("connection refused")


def _matches(document: Found, query: Mapping[str, Any]) -> bool:
    if "terms" in query:
        return document["transaction_id"] in query["terms"]["transaction_id"]
    if "range" in query:
        bounds = query["range"]["transaction_id"]
        value = document["transaction_id"]
        return ("gte" not in bounds or value >= bounds["gte"]) and ("lt" not in bounds or value < bounds["lt"])
    return True
