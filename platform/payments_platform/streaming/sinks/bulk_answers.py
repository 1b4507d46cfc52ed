"""What Elasticsearch's answer to a bulk request says of each document: done, refused, put off, or no document's fault.

Belongs here: the closed lists of statuses and error types, pure. Does not: asking the engine (elasticsearch.py), which
errors of a whole request are tried again (operations/errors.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from payments_platform.batch.repairs import shape
from payments_platform.contracts.dead_letters import Fault
from payments_platform.errors import ExplainedError
from payments_platform.operations.errors import ErrorClass
from payments_platform.streaming.sinks.protocol import StoreBusy

Reason = tuple[Fault, str]
Answer = Mapping[str, Any]

ASKED: Final = "items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.type"
"""The parts of an answer that are read here."""

# Of one document in a bulk answer. A version that is not higher than what is there: done before, or overtaken.
_DONE: Final = frozenset({200, 201, 409})
_BUSY: Final = frozenset({429, 502, 503, 504})
_TOO_LARGE: Final = 413
_BAD_REQUEST: Final = 400
# The engine read the document and cannot take one of its values. Other errors with status 400 are of the index.
_OF_THE_DOCUMENT: Final = frozenset(
    {"document_parsing_exception", "mapper_parsing_exception", "max_bytes_length_exceeded_exception"}
)
_BLOCKED: Final = "cluster_block_exception"
# The number of the block that the engine sets on a full disk and removes by itself. Servers before 7.7 say 403 with it.
_FULL_DISK: Final = "/12/"
# What a person does about it. The engine's sentences of these types name indices, accounts, fields and limits alone.
_REMEDIES: Final = {
    "security_exception": "Let the account of ELASTICSEARCH_URL write to transactions-* and make indices there.",
    _BLOCKED: "Remove the block from the index.",
    "index_not_found_exception": "Let the cluster make transactions-* by being written to (action.auto_create_index).",
    "index_closed_exception": "Open the index.",
    "validation_exception": "Raise the limit that the reason names, or remove indices.",
    # A document has the fields of the contract, whatever the record says.
    "strict_dynamic_mapping_exception": "The index is older than the field: payments rebuild elasticsearch",
}
_SHOWN: Final = 300


class EngineRefuses(ExplainedError):
    """Documents were not written, and not for what stands in them: the next one would fare alike."""

    error_class: ErrorClass = "permanent"


def refused(items: Sequence[Mapping[str, Answer]]) -> Iterator[tuple[int, Reason]]:
    """Place and reason of each refused document.

    Raises EngineRefuses for what is no document's fault, else StoreBusy when the engine put some off. The whole batch
    is written again then: what is there already answers that it is, so only the others have effect.
    """
    answers = [next(iter(item.values())) for item in items]
    failed = {place: answer for place, answer in enumerate(answers) if answer["status"] not in _DONE}
    faults = {place: _fault(answer) for place, answer in failed.items()}
    waiting = [answer for place, answer in failed.items() if faults[place] is None]
    unknown = [answer for answer in waiting if not _passes(answer)]
    if unknown:
        raise EngineRefuses(_explained(unknown, len(answers)))
    if waiting:
        kinds = ", ".join(sorted({_kind(answer) for answer in waiting}))
        many = f"{len(waiting)} of {len(answers)} documents of a batch ({kinds})"
        raise StoreBusy(f"Elasticsearch put off {many}; it is written again.")
    for place, fault in faults.items():
        if fault is not None:
            # The engine's own sentence quotes the value that it refuses.
            said = f"{_kind(failed[place])} (status {failed[place]['status']})"
            yield place, (fault, f"Elasticsearch refuses it: {said}")


def _fault(answer: Answer) -> Fault | None:
    """The record's own fault; None when it has none."""
    if answer["status"] == _TOO_LARGE:
        return Fault.OVERSIZE
    error = answer.get("error", {})
    kinds = {_kind(answer), error.get("caused_by", {}).get("type")}
    is_its_own = answer["status"] == _BAD_REQUEST and not kinds.isdisjoint(_OF_THE_DOCUMENT)
    return Fault.REFUSED_BY_STORE if is_its_own else None


def _passes(answer: Answer) -> bool:
    is_full = _kind(answer) == _BLOCKED and _FULL_DISK in _reason(answer)
    return answer["status"] in _BUSY or is_full


def _explained(unknown: Sequence[Answer], of: int) -> str:
    """What the engine said of the first, and what to do. A sentence that may quote a value is shown by its shape."""
    first, kind = unknown[0], _kind(unknown[0])
    reason = _reason(first) if kind in _REMEDIES else shape(_reason(first))
    remedy = _REMEDIES.get(kind, "Read the log of the engine.")
    return (
        f"Elasticsearch did not write {len(unknown)} of {of} documents of a batch, and not for what stands in them:"
        f" status {first['status']}, {kind}: {reason[:_SHOWN]}. None became a dead letter. {remedy}"
        " The worker, started again, goes on from these."
    )


def _kind(answer: Answer) -> str:
    return str(answer.get("error", {}).get("type", "no type given"))


def _reason(answer: Answer) -> str:
    return str(answer.get("error", {}).get("reason", "no reason given"))
