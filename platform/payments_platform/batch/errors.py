"""What can go wrong between the source and the curated zone, told so that a person can act.

Belongs here: error types of extraction, validation, conforming and reconciliation. Does not: the lake's errors.
"""

from payments_platform.errors import ExplainedError


class BatchError(ExplainedError):
    """Base of the batch errors."""


class UnknownColumn(BatchError):
    """A rule names a column that the frame lacks; judging without it would call every row good."""


class HiddenRows(BatchError):
    """A table has row security and no policy for the extracting role: it reads 0 rows and no error."""


class SourceSchemaMismatch(BatchError):
    """A source table lacks a column of the contract."""


class CutTimeout(BatchError):
    """No consistent cut in time: an old transaction is still open, or the replica lags behind."""

    error_class = "transient"


class SourceChanged(BatchError):
    """Rows that were extracted before have changed or vanished at the source, which its history must never do."""
