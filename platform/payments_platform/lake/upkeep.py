"""Keeping the lake tidy: files that no manifest names, segments that are old enough, bytes by zone.

Belongs here: walks over all stored files. Does not: single partitions (partitions.py), retention of days.
"""

from datetime import datetime, timedelta
from typing import Final

from payments_platform.contracts.streams import RAW_TRANSACTIONS_STREAM
from payments_platform.lake.manifest import Manifest
from payments_platform.lake.paths import is_manifest, is_record, manifest_path_of
from payments_platform.lake.segments import STREAM_FOLDER, STREAM_TOPICS, expire, is_of_stream, segments
from payments_platform.lake.storage import Storage
from payments_platform.vocabulary import LAKE_ZONES

_STREAM: Final = f"{STREAM_FOLDER}/"


def sweep(storage: Storage, *, older_than: timedelta, now: datetime) -> list[str]:
    """Remove files that no manifest names and that are older than any running write; return their paths.

    A killed writer leaves such files. ``older_than`` must exceed the longest write: a younger file may be about to
    be committed.
    """
    removed: list[str] = []
    for zone in LAKE_ZONES:
        named: dict[str, set[str]] = {}
        for file in list(storage.list(zone)):
            if is_manifest(file.path) or is_record(file.path) or now - file.modified < older_than:
                continue
            manifest = _STREAM if file.path.startswith(_STREAM) else manifest_path_of(file.path)
            if manifest not in named:
                named[manifest] = _of_segments(storage) if manifest == _STREAM else _named_files(storage, manifest)
            if file.path not in named[manifest]:
                storage.remove(file.path)
                removed.append(file.path)
    return removed


def expire_segments(storage: Storage, *, now: datetime) -> list[str]:
    """Remove the stream's segments that are older than their dataset is kept; return the paths of their manifests."""
    kept = RAW_TRANSACTIONS_STREAM.retention
    if kept is None:
        return []
    return [path for topic in STREAM_TOPICS for path in expire(storage, topic, before=now - kept)]


def _of_segments(storage: Storage) -> set[str]:
    """The files that the stream's segments name, and what says so: manifests of segments and of windows of them."""
    records = {file.path for file in storage.list(STREAM_FOLDER) if is_of_stream(file.path)}
    return records | {segment.file for topic in STREAM_TOPICS for segment in segments(storage, topic)}


def bytes_by_zone(storage: Storage) -> dict[str, int]:
    """Bytes stored in each zone of the lake, manifests included."""
    return {zone: sum(file.size for file in storage.list(zone)) for zone in LAKE_ZONES}


def _named_files(storage: Storage, path: str) -> set[str]:
    data = storage.read(path)
    if data is None:
        return set()
    manifest = Manifest.from_json(data, path=path)
    return {file.path for output in manifest.outputs.values() for file in output.files}
