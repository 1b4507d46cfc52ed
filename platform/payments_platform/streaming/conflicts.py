"""What each store does when events contradict each other, come late, twice or in another order: one table.

Belongs here: the cases, the rule in each store, the tests that show it. Does not: the code that follows the rules
(documents/, search/, sinks/), the page (documentation/conflicts.py).
"""

from dataclasses import dataclass
from typing import Final

_CONTRACT: Final = "contracts/test_sinks.py"
_STORES: Final = "unit/test_store_sinks.py"
_LAKE: Final = "unit/test_lake_sink.py"
_ENVELOPE: Final = "unit/test_envelope.py"
_SCHEMA: Final = "integration/test_oltp_schema.py"


@dataclass(frozen=True)
class Conflict:
    """A case, what becomes of it in each store, and the tests that show it as ``file::test``."""

    case: str
    mongodb: str
    elasticsearch: str
    lake: str
    shown_by: tuple[str, ...]


_EVERY_MESSAGE: Final = "Kept as it came: a row a message."

CONFLICTS: Final = (
    Conflict(
        "Two versions of a payment, in any order",
        "The higher position is `current`; each is a state.",
        "The higher position is the document; the lower is answered 409, which is done.",
        _EVERY_MESSAGE,
        (f"{_CONTRACT}::test_any_order_delay_and_repetition_ends_in_the_same_documents",),
    ),
    Conflict(
        "The same event again",
        "Nothing changes.",
        "Nothing changes.",
        "Nothing changes: an offset lies in one segment.",
        (
            f"{_CONTRACT}::test_writing_again_what_was_written_changes_nothing",
            f"{_LAKE}::test_kills_and_workers_taken_for_dead_neither_lose_nor_double_a_message",
        ),
    ),
    Conflict(
        "A partial event before or after the full one of its version",
        "The full one stands, in `current` and in its state.",
        "The full one stands.",
        _EVERY_MESSAGE,
        (f"{_CONTRACT}::test_a_full_event_replaces_a_partial_one_and_never_the_other_way",),
    ),
    Conflict(
        "The same position with other names beside it (a customer or merchant changed between two snapshots)",
        "The greater document, field by field, whatever the order.",
        "The first that came. What the source wrote is equal in both.",
        _EVERY_MESSAGE,
        (f"{_STORES}::test_of_one_position_with_other_names_the_same_document_stays_whatever_the_order",),
    ),
    Conflict(
        "A delete, before or after older versions",
        "A state and `current` marked deleted; late versions become states.",
        "A document marked deleted that the alias hides; late versions change nothing.",
        _EVERY_MESSAGE,
        (
            f"{_CONTRACT}::test_a_delete_stays_a_delete_when_older_versions_come_late",
            f"{_STORES}::test_a_search_never_finds_what_was_deleted_though_its_document_stays",
        ),
    ),
    Conflict(
        "A higher epoch after a failover or restore",
        "The higher epoch is `current`; states of both lives stay, told apart by their epoch.",
        "The higher epoch is the document.",
        _EVERY_MESSAGE,
        (f"{_CONTRACT}::test_a_higher_epoch_wins_over_any_version_of_the_life_before",),
    ),
    Conflict(
        "A payment that only a lost source had, and the same id paid again later",
        "Deleted at version 0 of the new epoch; version 1 of the payment made again is `current`.",
        "The same; the alias hides the first and shows the second.",
        _EVERY_MESSAGE,
        (
            "faults/test_promotion.py::test_a_promoted_replica_that_lacks_the_last_payments_ends_in_stores_equal_to_it",
            "unit/test_verification.py::test_a_payment_that_was_taken_back_and_is_made_again_is_compared",
        ),
    ),
    Conflict(
        "A change of status that is not allowed",
        "The processor refuses it to the dead letters, the batch to quarantine. One that is replayed is stored.",
        "The same.",
        "The same.",
        (f"{_STORES}::test_a_store_judges_no_status_and_keeps_what_it_is_given",),
    ),
    Conflict(
        "A large value that an update did not change (TOAST)",
        "Never overwritten: the processor takes it from the row before, so the event is whole.",
        "The same.",
        "The same.",
        (f"{_ENVELOPE}::test_a_value_too_large_to_be_sent_again_is_taken_from_before",),
    ),
    Conflict(
        "A value that never changes is absent from an event",
        "What was there stays.",
        "The document of the higher position stands.",
        _EVERY_MESSAGE,
        (f"{_STORES}::test_a_partial_event_leaves_what_never_changes_as_it_was",),
    ),
    Conflict(
        "A payment's id changes",
        "Cannot be: the source refuses it.",
        "Cannot be: the source refuses it.",
        "Cannot be: the source refuses it.",
        (f"{_SCHEMA}::test_what_identifies_a_payment_cannot_change",),
    ),
    Conflict(
        "An event outside the days kept",
        "Written, and removed by age.",
        "Refused: its index would be deleted at once, or never.",
        _EVERY_MESSAGE,
        (f"{_STORES}::test_a_payment_outside_the_days_kept_goes_to_the_dead_letters",),
    ),
    Conflict(
        "A record that the store cannot hold, or no event at all",
        "Refused to the dead letters; its neighbours are written.",
        "The same.",
        "No event is refused; its offset lies in a segment.",
        (
            f"{_STORES}::test_a_refused_document_is_named_and_its_neighbours_are_written",
            f"{_LAKE}::test_what_is_no_event_is_refused_once_and_its_place_is_covered",
        ),
    ),
)
