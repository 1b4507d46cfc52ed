"""Quarantine has an end: what a person decides about a row is input of its day, kept by every re-run.

Belongs here: decisions from the command line to the star schema, on a lake in a folder. Does not: which rows are bad.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from assets_tests.assets.conftest import Platform, failures_of
from assets_tests.fakes.company import Company
from payments_platform.cli import app
from payments_platform.contracts.columns import SAMPLE_DAY
from payments_platform.contracts.dataset import Dataset
from payments_platform.contracts.payments import CLEAN_TRANSACTIONS, QUARANTINE_TRANSACTIONS, RAW_TRANSACTIONS
from payments_platform.contracts.quarantine import REPAIRS, REVEALS
from payments_platform.contracts.sample import sample
from payments_platform.defs.jobs import LAKE_TO_LANDING
from payments_platform.lake import records

DAY = str(SAMPLE_DAY)
Command = Callable[..., Result]


@dataclass(frozen=True)
class Mistaken(Company):
    """Four payments: a good one, an unknown currency, an illegal transition, a merchant's code that nobody knows."""

    def rows(self, dataset: Dataset, day: date) -> pl.DataFrame:
        if dataset.table != "transactions":
            return super().rows(dataset, day)
        return sample(dataset, 4).with_columns(
            currency=pl.Series(["EUR", "ZZZ", "EUR", "EUR"]),
            amount=pl.lit(None, dtype=dataset.schema["amount"]),
            previous_status=pl.Series([None, None, "failed", None]),
            country_code=pl.Series(["FR", "FR", "FR", "Ann@"]),
            description=pl.lit("Order for Ann"),
        )


@pytest.fixture
def command(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """``payments …`` on the platform's lake."""
    monkeypatch.setenv("PAYMENTS_LAKE_ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("COLUMNS", "250")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["quarantine", *arguments])

    return run


def build(platform: Platform, *, whole: bool = False) -> None:
    assert failures_of(platform.run([SAMPLE_DAY], Mistaken(), None if whole else LAKE_TO_LANDING)) == []


def listed(command: Command, *arguments: str) -> dict[str, tuple[list[str], str, bool]]:
    rows = json.loads(command("list", "--format", "json", *arguments).stdout)
    return {row["row"]: (row["rules"], row["state"], row["is_applied"]) for row in rows}


def conserved(platform: Platform) -> bool:
    manifest = platform.lake.manifest(CLEAN_TRANSACTIONS, SAMPLE_DAY)
    raw = platform.lake.manifest(RAW_TRANSACTIONS, SAMPLE_DAY)
    assert manifest is not None
    assert raw is not None
    kept = sum(output.rows for output in manifest.outputs.values()) + manifest.counts["superseded"]
    return manifest.verdict == "passed" and raw.rows == kept


@pytest.mark.row("B3")
def test_decisions_reach_the_marts_on_the_next_run_and_stay(platform: Platform, command: Command) -> None:
    """Without it quarantine is a place where payments end, and mending them by hand is undone by the next backfill."""
    build(platform)
    assert listed(command) == {
        "txn_sample_1/1": (["R-currency-known"], "open", False),
        "txn_sample_2/1": (["R-status-transition"], "open", False),
        "txn_sample_3/1": (["R-country-known"], "open", False),
    }
    why = ("--why", "the merchant said so")
    done = command("repair", "transactions", DAY, "txn_sample_1/1", "--set", "currency=EUR", *why)
    assert done.exit_code == 0, done.output
    assert f"Next: payments backfill --from {DAY} --to {DAY}" in done.output
    assert command("release", "transactions", DAY, "txn_sample_2/1", *why).exit_code == 0
    assert command("discard", "transactions", DAY, "txn_sample_3/1", *why).exit_code == 0
    assert {row: found[1:] for row, found in listed(command).items()} == {
        "txn_sample_1/1": ("repaired", False),
        "txn_sample_2/1": ("released", False),
        "txn_sample_3/1": ("discarded", False),
    }
    for _ in range(2):
        build(platform, whole=True)
        assert conserved(platform)
        clean = platform.lake.scan(CLEAN_TRANSACTIONS, SAMPLE_DAY).sort("transaction_id").collect()
        assert clean.select("transaction_id", "currency", "is_released").rows() == [
            ("txn_sample_0", "EUR", False),
            ("txn_sample_1", "EUR", False),
            ("txn_sample_2", "EUR", True),
        ]
        facts = platform.box.warehouse.query("select transaction_id from marts.fact_transaction order by 1")
        assert facts.to_series().to_list() == ["txn_sample_0", "txn_sample_1", "txn_sample_2"]
    assert {row: found[1:] for row, found in listed(command).items()} == {
        "txn_sample_1/1": ("repaired", True),
        "txn_sample_2/1": ("released", True),
        "txn_sample_3/1": ("discarded", True),
    }
    left = command("show", "transactions", DAY, "txn_sample_1/1")
    assert left.exit_code == 0
    assert "in quarantine no more" in left.output
    assert 'repair {"currency": "EUR"}: the merchant said so' in left.output


@pytest.mark.row("B3")
def test_a_repair_that_breaks_a_rule_fails_again_and_the_next_one_counts(platform: Platform, command: Command) -> None:
    build(platform)
    for value, state in (("XAU", "failed again"), ("KWD", "repaired")):
        command("repair", "transactions", DAY, "txn_sample_1/1", "--set", f"currency={value}", "--why", "a try")
        build(platform)
        assert listed(command, "--table", "transactions")["txn_sample_1/1"][1] == state
        assert conserved(platform)


@pytest.mark.row("B3")
def test_the_same_decision_twice_is_one(platform: Platform, command: Command) -> None:
    """A command that was typed again after a broken connection must not fill the record."""
    build(platform)
    for _ in range(2):
        arguments = ("repair", "transactions", DAY, "txn_sample_1/1", "--set", "currency=EUR", "--why", "as told")
        assert command(*arguments).exit_code == 0
        assert command("release", "transactions", DAY, "txn_sample_2/1", "--why", "as told").exit_code == 0
    kept = records.read(platform.lake.storage, REPAIRS)
    assert kept["action"].to_list() == ["repair", "release"]
    assert kept["record_number"].to_list() == [1, 2]
    assert all(kept["recorded_by"].str.len_chars() > 0)


@pytest.mark.row("B3", "G1")
def test_values_are_masked_unless_somebody_is_recorded_for_seeing_them(platform: Platform, command: Command) -> None:
    build(platform)
    shown = command("show", "transactions", DAY, "txn_sample_3/1").output
    assert "R-country-known" in shown
    assert "Ann" not in shown
    assert "1250" in shown
    assert "aaa@" in shown
    refused = command("show", "transactions", DAY, "txn_sample_3/1", "--reveal")
    assert refused.exit_code == 2
    assert records.read(platform.lake.storage, REVEALS).is_empty()
    seen = command("show", "transactions", DAY, "txn_sample_3/1", "--reveal", "--why", "ticket 7")
    assert "Order for Ann" in seen.output
    kept = records.read(platform.lake.storage, REVEALS)
    assert kept.select("table_name", "row_key", "version", "reason").rows() == [
        ("transactions", "txn_sample_3", 1, "ticket 7")
    ]


@pytest.mark.row("B3")
@pytest.mark.parametrize(
    "arguments, text",
    [
        (("show", "payments", DAY, "x/1"), "'payments' has no quarantine"),
        (("show", "transactions", "2025-06-01", "x/1"), "has no partition 2025-06-01"),
        (("show", "transactions", DAY, "txn_gone/1"), "there are: txn_sample_1/1"),
        (("show", "transactions", DAY, "txn_gone"), "names no row"),
        (("show", "transactions", "yesterday", "x/1"), "is not a day"),
        (("repair", "transactions", DAY, "txn_sample_1/1", "--why", "w"), "say what is right"),
        (("repair", "transactions", DAY, "txn_sample_1/1", "--set", "colour=red", "--why", "w"), "no column 'colour'"),
        (("repair", "transactions", DAY, "txn_sample_1/1", "--set", "version=2", "--why", "w"), "only the source"),
        (("repair", "transactions", DAY, "txn_sample_1/1", "--set", "amount_minor=1.5", "--why", "w"), "is no Int64"),
        (("repair", "transactions", DAY, "txn_sample_1/1", "--set", "amount_minor=" + "9" * 20, "--why", "w"), "Int64"),
        (("repair", "transactions", DAY, "txn_sample_1/1", "--set", "created_at=2025-01-01", "--why", "w"), "Datetime"),
        (("repair", "transactions", DAY, "txn_sample_1/1", "--set", "description=Ann", "--why", "w"), "--null"),
        (("release", "transactions", DAY, "txn_sample_1/1", "--why", "w"), "cannot be released as it is (R-currency"),
        (("discard", "transactions", DAY, "txn_sample_0/1", "--why", "w"), "has no row txn_sample_0/1"),
        (("discard", "transactions", DAY, "txn_sample_1/1", "--why", " "), "needs its reason"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence_and_nothing_is_recorded(
    arguments: tuple[str, ...], text: str, bad_day: Platform, command: Command
) -> None:
    result = command(*arguments)
    assert result.exit_code in {1, 2}
    assert text in " ".join(result.output.replace("│", " ").split())
    assert records.read(bad_day.lake.storage, REPAIRS).is_empty()


@pytest.fixture
def bad_day(platform: Platform) -> Platform:
    """The day's split alone, without a run."""
    rows = sample(QUARANTINE_TRANSACTIONS, 4)[1:].with_columns(
        reasons=pl.Series(["R-currency-known", "R-status-transition", "R-country-known"])
    )
    from datetime import UTC, datetime

    outputs = {CLEAN_TRANSACTIONS: sample(CLEAN_TRANSACTIONS, 1), QUARANTINE_TRANSACTIONS: rows}
    now = datetime(2025, 1, 2, tzinfo=UTC)
    platform.lake.write(SAMPLE_DAY, outputs, counts={"superseded": 0}, code_version="test", now=now)
    return platform


def test_two_people_at_once_get_two_records(tmp_path: Path) -> None:
    """The second would overwrite the first, and one decision would never have been taken."""
    from concurrent.futures import ThreadPoolExecutor

    from payments_platform.lake.storage import LocalStorage

    storage, record = LocalStorage(tmp_path), sample(REPAIRS, 1).row(0, named=True)
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: records.append(storage, REPAIRS, record), range(24)))
    assert sorted(numbers) == list(range(1, 25))
    assert records.read(storage, REPAIRS, record["table_name"], SAMPLE_DAY).height == 24


def test_what_a_killed_writer_left_is_no_record(tmp_path: Path) -> None:
    """Read as one, it would stop every later run of the day; counted as one, it would leave a gap in the numbers."""
    from payments_platform.lake.storage import LocalStorage

    storage, record = LocalStorage(tmp_path), sample(REPAIRS, 1).row(0, named=True)
    assert records.append(storage, REPAIRS, record) == 1
    written = next(tmp_path.rglob("000001.json"))
    written.with_name(".000002.json.0123").write_bytes(b'{"action"')
    assert records.append(storage, REPAIRS, record) == 2
    assert records.read(storage, REPAIRS)["record_number"].to_list() == [1, 2]


@pytest.mark.parametrize("wrong", [{"version": "one"}, {"record_number": [1]}, {"reason": {"a": 1}}])
def test_a_record_whose_value_is_of_another_type_is_named_by_its_file(tmp_path: Path, wrong: dict[str, object]) -> None:
    """Whoever must mend it looks for a file; an error about a column tells nobody which of thousands."""
    from payments_platform.lake.errors import ManifestUnreadable
    from payments_platform.lake.storage import LocalStorage

    storage, record = LocalStorage(tmp_path), sample(REPAIRS, 1).row(0, named=True)
    records.append(storage, REPAIRS, record)
    written = next(tmp_path.rglob("000001.json"))
    written.write_text(json.dumps(json.loads(written.read_text(encoding="utf-8")) | wrong), encoding="utf-8")
    with pytest.raises(ManifestUnreadable, match=r"000001\.json"):
        records.read(storage, REPAIRS)


def test_a_decision_that_the_contract_no_longer_understands_is_named() -> None:
    from payments_platform.batch.repairs import RepairRefused, with_repairs
    from payments_platform.contracts.payments import RAW_TRANSACTIONS

    decision = sample(REPAIRS, 1).with_columns(action=pl.lit("repair"), changes=pl.lit('{"renamed_since": "x"}'))
    row = decision.row(0, named=True)
    named = rf"Decision {row['record_number']} about {row['table_name']} .*{row['row_key']}/{row['version']}"
    with pytest.raises(RepairRefused, match=named):
        with_repairs(sample(RAW_TRANSACTIONS, 1).lazy(), RAW_TRANSACTIONS, decision)
