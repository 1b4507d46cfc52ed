"""The manifest of a partition: what it holds, from what it was made, whether it passed. It *is* the partition.

Belongs here: the record and its JSON. Does not: writing data files or deciding a verdict.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal

from payments_platform.lake.errors import ManifestUnreadable

Verdict = Literal["pending", "passed", "failed"]
VERDICTS: Final[tuple[Verdict, ...]] = ("pending", "passed", "failed")
SCHEMA_VERSION: Final = 1


@dataclass(frozen=True)
class DataFile:
    """One Parquet file: path below the lake's root, rows, bytes."""

    path: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Output:
    """What one dataset holds on the day. ``sums`` are minor units by currency; "" stands for a null currency."""

    files: tuple[DataFile, ...]
    rows: int
    sums: Mapping[str, int]
    digest: str
    digest_algorithm: str

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True)
class Manifest:
    """The committed state of one day of one dataset (and of what is made together with it).

    ``counts`` are facts about the making: ``superseded``, ``rule:<id>``… ``source_digests`` are digests of the rows
    by the bulk load that wrote them ("" is the application), so that a later extraction can tell added from changed.
    ``profile`` counts rows by column and value ("" is null): what later days are compared with.
    ``first_landed_at`` is when the first content that passed was written, once the day was over; a day that is built
    again keeps it. ``replaces_passed`` says of a pending day that what it replaced could be read.
    """

    dataset: str
    day: date
    verdict: Verdict
    code_version: str
    outputs: Mapping[str, Output]
    written_at: datetime
    inputs: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    source_digests: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    profile: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    first_landed_at: datetime | None = None
    replaces_passed: bool = False

    @property
    def landed_at(self) -> datetime:
        """When the day first landed; of a day that never passed as a whole, when this content was written."""
        return self.first_landing or self.written_at

    @property
    def first_landing(self) -> datetime | None:
        """When the day first landed, over and passed; None while it never did."""
        is_whole = self.written_at >= datetime.combine(self.day + timedelta(days=1), time(), UTC)
        # A manifest that was written before there was the field has it not.
        return self.first_landed_at or (self.written_at if self.verdict == "passed" and is_whole else None)

    @property
    def main(self) -> Output:
        """The output of the dataset that keeps the manifest."""
        return self.outputs[self.dataset]

    @property
    def rows(self) -> int:
        """Rows of the dataset that keeps the manifest."""
        return self.main.rows

    @property
    def digest(self) -> str:
        """Content digest of the dataset that keeps the manifest; the same rows in any order give the same."""
        return self.main.digest

    def judged(self, verdict: Verdict, notes: tuple[str, ...] = ()) -> "Manifest":
        """The same partition with a verdict."""
        is_open = verdict == "pending" and self.replaces_passed
        found = replace(self, verdict=verdict, notes=notes, replaces_passed=is_open)
        return replace(found, first_landed_at=self.first_landing or found.first_landing)

    def replacing(self, old: "Manifest | None") -> "Manifest":
        """The same partition, with what it keeps of the content that it replaces."""
        if old is None:
            return self
        was_there = old.verdict == "passed" or (old.verdict == "pending" and old.replaces_passed)
        return replace(self, first_landed_at=old.first_landing, replaces_passed=was_there)

    def to_json(self) -> bytes:
        """Bytes that a person can read, keys sorted; the same manifest gives the same bytes."""
        record = {
            "schema_version": SCHEMA_VERSION,
            **asdict(self),
            "day": self.day.isoformat(),
            "written_at": self.written_at.astimezone(UTC).isoformat(),
            "first_landed_at": self.first_landed_at and self.first_landed_at.astimezone(UTC).isoformat(),
        }
        return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes, *, path: str) -> "Manifest":
        """Read what ``to_json`` wrote. Raises ManifestUnreadable naming the file."""
        try:
            record: dict[str, Any] = json.loads(data)
            version = record.pop("schema_version")
            if version != SCHEMA_VERSION:
                raise ManifestUnreadable(path, f"schema version {version}, this code reads {SCHEMA_VERSION}")
            if record["verdict"] not in VERDICTS:
                raise ManifestUnreadable(path, f"verdict {record['verdict']!r}")
            record["day"] = date.fromisoformat(record["day"])
            record["written_at"] = datetime.fromisoformat(record["written_at"])
            first = record.get("first_landed_at")
            record["first_landed_at"] = datetime.fromisoformat(first) if first else None
            record["notes"] = tuple(record["notes"])
            record["outputs"] = {name: _output(found) for name, found in record["outputs"].items()}
            return cls(**record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ManifestUnreadable(path, f"{type(error).__name__}: {error}") from error


def _output(record: dict[str, Any]) -> Output:
    files = tuple(DataFile(**file) for file in record.pop("files"))
    return Output(files=files, **record)
