"""Dagster's records cannot be reached: one sentence that says so, at once, for whoever asks."""

import pytest

from payments_platform.clients.dagster import RecordsAway, records_of
from payments_platform.operations.errors import classify
from payments_platform.settings import Settings


@pytest.mark.row("E1")
def test_records_that_do_not_answer_are_named_with_their_place_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster asked for half a minute and then showed its own calls, with an end code that a script read as late."""
    monkeypatch.setenv("PAYMENTS_PLATFORM_DAGSTER_URL", "postgresql://dagster:secret@127.0.0.1:1/dagster")
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("PAYMENTS_HOME", "")
    monkeypatch.setenv("PAYMENTS_WAREHOUSE_PATH", "")
    with (
        pytest.raises(RecordsAway, match=r"127\.0\.0\.1:1 do not answer.*(?s:.)*payments up") as refused,
        records_of(Settings(environment="staging")),
    ):
        pytest.fail("it opened")
    assert "secret" not in str(refused.value)
    assert classify(refused.value) == "transient"
