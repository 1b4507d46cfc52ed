"""One suite for every storage of the lake: the directory and the fake that unit tests use."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from assets_tests.fakes.storage import MemoryStorage
from payments_platform.lake.storage import ANY, Conflict, LocalStorage, Storage

FRAME = pl.DataFrame({"id": ["a", "b"], "n": [1, None]}, schema={"id": pl.String, "n": pl.Int64})


@pytest.fixture(params=["directory", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return LocalStorage(tmp_path / "a lake") if request.param == "directory" else MemoryStorage()


def write(storage: Storage, path: str, frame: pl.DataFrame = FRAME) -> None:
    with storage.writing(path) as target:
        frame.write_parquet(target)


def test_what_is_absent_reads_as_none(storage: Storage) -> None:
    assert storage.read("raw/x/_manifest.json") is None
    assert storage.stat("raw/x/_manifest.json") is None
    assert list(storage.list("raw")) == []
    storage.remove("raw/x/_manifest.json")


def test_a_replacement_needs_the_content_it_was_decided_on(storage: Storage) -> None:
    storage.replace("raw/m", b"1", expected=None)
    with pytest.raises(Conflict):
        storage.replace("raw/m", b"2", expected=None)
    with pytest.raises(Conflict):
        storage.replace("raw/m", b"2", expected=b"other")
    assert storage.read("raw/m") == b"1"
    storage.replace("raw/m", b"2", expected=b"1")
    storage.replace("raw/m", b"3", expected=ANY)
    assert storage.read("raw/m") == b"3"


def test_of_many_writers_on_the_same_content_exactly_one_wins(storage: Storage) -> None:
    storage.replace("raw/m", b"start", expected=None)

    def attempt(number: int) -> bool:
        try:
            storage.replace("raw/m", str(number).encode(), expected=b"start")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(32)))
    assert outcomes.count(True) == 1
    assert storage.read("raw/m") == str(outcomes.index(True)).encode()


def test_written_frames_are_scanned_together_lazily(storage: Storage) -> None:
    write(storage, "raw/t/part-1.parquet")
    write(storage, "raw/t/part-2.parquet")
    scanned = storage.scan(["raw/t/part-1.parquet", "raw/t/part-2.parquet"], FRAME.schema)
    assert scanned.collect().sort("id", "n").to_dicts() == pl.concat([FRAME, FRAME]).sort("id", "n").to_dicts()


def test_of_no_file_there_are_no_rows_and_the_schema(storage: Storage) -> None:
    scanned = storage.scan([], FRAME.schema)
    assert scanned.collect_schema() == FRAME.schema
    assert scanned.collect().height == 0


def test_a_lazy_plan_can_be_sunk(storage: Storage) -> None:
    with storage.writing("raw/t/part-1.parquet") as target:
        pl.collect_all([FRAME.lazy().sink_parquet(target, lazy=True)], engine="streaming")
    assert storage.scan(["raw/t/part-1.parquet"], FRAME.schema).collect().height == FRAME.height


def test_files_are_listed_below_a_folder_only_with_their_sizes(storage: Storage) -> None:
    write(storage, "raw/t/part-1.parquet")
    storage.replace("raw/t/_manifest.json", b"12345", expected=None)
    storage.replace("rawer/t/_manifest.json", b"1", expected=None)
    listed = {file.path: file.size for file in storage.list("raw")}
    stored = storage.stat("raw/t/part-1.parquet")
    assert stored is not None
    assert stored.modified.tzinfo is not None
    assert listed == {"raw/t/_manifest.json": 5, "raw/t/part-1.parquet": stored.size}
    storage.remove("raw/t/part-1.parquet")
    assert [file.path for file in storage.list("raw")] == ["raw/t/_manifest.json"]
