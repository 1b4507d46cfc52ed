"""What can be wrong with a partition of the lake. Each error names the partition and what to do next.

Belongs here: the lake's error types. Does not: what is retried (the error classifier).
"""

from datetime import date

from payments_platform.errors import ExplainedError


class LakeError(ExplainedError):
    """Base of the lake's errors."""


class PartitionMissing(LakeError):
    """The day was never committed. Reading it as empty would turn a gap into a day without payments."""

    def __init__(self, dataset: str, day: date) -> None:
        super().__init__(f"{dataset} has no partition {day}. Materialize it: payments backfill --from {day} --to {day}")


class PartitionNotPassed(LakeError):
    """The day is committed but its checks have not passed; what reads it would spread bad rows."""

    def __init__(self, dataset: str, day: date, verdict: str) -> None:
        super().__init__(
            f"{dataset} {day} is {verdict}, not passed: it is not read until its checks pass."
            f" See its checks in the UI, then: payments backfill --from {day} --to {day}"
        )


class PartitionCorrupt(LakeError):
    """A file of the partition is missing, truncated or changed; the manifest knows what it must hold."""

    def __init__(self, dataset: str, day: date, file: str, problem: str) -> None:
        self.file = file
        super().__init__(
            f"{dataset} {day}: {file} {problem}. Make the day again: payments backfill --from {day} --to {day}"
        )


class PartitionOutdated(LakeError):
    """The day was written while the contract had other columns."""

    def __init__(self, dataset: str, day: date) -> None:
        super().__init__(
            f"{dataset} {day} was written before its contract changed columns."
            f" Make the day again: payments backfill --from {day} --to {day}"
        )


class ManifestUnreadable(LakeError):
    """The manifest is no manifest of this platform (damaged, or of a later version)."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path} cannot be read ({problem}). Remove the file and materialize its day again.")


class SchemaMismatch(LakeError):
    """A frame does not have the columns and types of its contract, so nothing of it was written."""

    def __init__(self, dataset: str, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(f"{dataset}: {'; '.join(problems)}. Correct the frame or its contract; nothing was written.")


class ConcurrentCommit(LakeError):
    """Another writer committed the same day in between. Its partition stands, this one was discarded."""

    def __init__(self, dataset: str, day: date) -> None:
        super().__init__(
            f"{dataset} {day} was committed by another run meanwhile; that commit stands."
            " If its result is not the one wanted, run the day again."
        )
