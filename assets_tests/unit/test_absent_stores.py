"""A stack without some of its servers: what is there is compared and timed, what is not is named, ends say no more."""

import json
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from payments_platform.cli import app
from payments_platform.commands.delays import MONGODB, open_finders
from payments_platform.commands.verify import DIFFERS, NOT_ALL_COMPARED
from payments_platform.settings import STREAM_VARIABLES, Settings
from payments_platform.streaming.verification import FOUND
from payments_platform.streaming.views import NEEDS, open_views

Stack = Callable[..., Settings]
DIFFERENT = pl.DataFrame([("mongodb", "missing", "txn_1", None, "")], schema=FOUND, orient="row")


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A home whose stack has PostgreSQL and the servers named; nothing is asked of them here."""

    def made(*servers: str) -> Settings:
        for variable in STREAM_VARIABLES.values():
            monkeypatch.delenv(variable, raising=False)
        folder = tmp_path / "config"
        folder.mkdir()
        services = {name: {"host": "127.0.0.1", "port": 1} for name in ("primary", *servers)}
        (folder / "stack.json").write_text(json.dumps({"services": services}), encoding="utf-8")
        (folder / "secrets.json").write_text(json.dumps({"passwords": {"payments_extract": "x"}}), encoding="utf-8")
        monkeypatch.setenv("PAYMENTS_HOME", str(tmp_path))
        monkeypatch.setenv("PAYMENTS_ENVIRONMENT", "test")
        return Settings()

    return made


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Callable[[pl.DataFrame], list[str]]:
    """The comparison finds what is given; the names of the stores that it was given are kept."""

    def finding(found: pl.DataFrame) -> list[str]:
        names: list[str] = []

        def compare(_: Any, views: list[Any], *__: Any) -> pl.DataFrame:  # noqa: ANN401 - not looked at
            names.extend(view.name for view in views)
            return found

        monkeypatch.setattr("payments_platform.streaming.verification.verify", compare)
        monkeypatch.setattr("payments_platform.clients.postgres.connect_arrow", lambda *_, **__: nullcontext())
        return names

    return finding


def test_every_store_that_is_verified_says_which_server_it_needs(running: Stack) -> None:
    assert set(running("mongodb").lacking()) == {"kafka", "connect", "elasticsearch"}
    assert set(NEEDS.values()) <= set(STREAM_VARIABLES)


def test_only_stores_that_are_there_are_opened(running: Stack) -> None:
    settings = running("mongodb")
    with ExitStack() as stack:
        views, refused = open_views(settings, stack)
    assert [view.name for view in views] == ["mongodb", "mongodb states"]
    assert refused.is_empty()


@pytest.mark.row("O9")
@pytest.mark.parametrize("found, code", [(pl.DataFrame(schema=FOUND), NOT_ALL_COMPARED), (DIFFERENT, DIFFERS)])
def test_verify_names_what_is_not_there_and_never_ends_as_if_all_were_right(
    running: Stack, compared: Callable[[pl.DataFrame], list[str]], found: pl.DataFrame, code: int
) -> None:
    """An end of 0 would say of a store that nobody asked that it is whole."""
    running("mongodb")
    names = compared(found)
    answer = CliRunner().invoke(app, ["verify"])
    assert answer.exit_code == code
    assert names == ["mongodb", "mongodb states"]
    for absent in ("elasticsearch", "lake", "analytics.transactions"):
        assert f"{absent} is not there and is not compared" in answer.output


def test_verify_of_a_store_that_is_there_ends_well_whatever_else_lacks(
    running: Stack, compared: Callable[[pl.DataFrame], list[str]]
) -> None:
    running("mongodb")
    compared(pl.DataFrame(schema=FOUND))
    assert CliRunner().invoke(app, ["verify", "--store", "mongodb"]).exit_code == 0


@pytest.mark.parametrize("chosen", [[], ["--store", "elasticsearch"]])
def test_verify_with_nothing_to_compare_fails(running: Stack, chosen: list[str]) -> None:
    running()
    answer = CliRunner().invoke(app, ["verify", *chosen])
    assert answer.exit_code == 1
    assert "Nothing was compared" in answer.output


def test_delays_are_timed_in_the_stores_that_are_there(running: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    settings = running("mongodb")
    with open_finders(settings) as finders:
        assert list(finders) == [MONGODB]
    said = capsys.readouterr().err
    assert "elasticsearch is not there and is not timed" in said
