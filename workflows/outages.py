"""Which errors of the database pass when it is back, and which tell of something else."""

from __future__ import annotations

from pymongo.errors import ConnectionFailure, DocumentTooLarge, NotPrimaryError, OperationFailure, PyMongoError

TOO_LARGE_CODES = (10334, 17419, 17420, 388)
"""BSONObjectTooLarge, what an update says whose document would be, and TransactionTooLargeForCache."""
STARTING_CODES = (91, 189, 11600, 11602, 13435, 13436)
"""Of a server that begins or ends: ShutdownInProgress, PrimarySteppedDown, Interrupted…, NotPrimary…"""


def is_outage(error: BaseException) -> bool:
    """Return whether an error says that the database is out of reach, and may be back later."""
    if isinstance(error, ConnectionFailure | NotPrimaryError):
        return True
    if not isinstance(error, PyMongoError):
        return False
    passing = isinstance(error, OperationFailure) and error.code in STARTING_CODES
    return passing or error.has_error_label("RetryableWriteError") or error.has_error_label("TransientTransactionError")


def too_large(error: BaseException) -> bool:
    """Return whether a document would have become larger than the database takes (16 MB)."""
    if isinstance(error, DocumentTooLarge):
        return True
    return isinstance(error, OperationFailure) and error.code in TOO_LARGE_CODES
