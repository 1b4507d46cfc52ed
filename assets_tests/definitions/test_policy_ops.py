"""What must be true of how every asset is made: gates, pools, retries, short bodies, files where the key says.

Belongs here: policy that an op, a check or a file shows. Does not: specs (test_policy).
"""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from payments_platform import defs as defs_package
from payments_platform.definitions import defs
from payments_platform.defs._platform.failures import RETRY
from payments_platform.vocabulary import DBT_ZONES

FOLDER = Path(defs_package.__file__).parent
GRAPH = defs.resolve_asset_graph()
KEYS = sorted(spec.key for spec in defs.resolve_all_asset_specs())
MADE = [key for key in KEYS if GRAPH.get(key).is_materializable]
ASSETS = sorted({defs.resolve_assets_def(key).op.name: defs.resolve_assets_def(key) for key in MADE}.items())
CHECKS = sorted(
    (check.op.name, check) for check in defs.asset_checks or () if isinstance(check, dg.AssetChecksDefinition)
)
POOLED_ZONES = {"landing", *DBT_ZONES}
# Writes to the warehouse from another zone; and what speaks of all zones without opening the warehouse.
POOLED_TOO, NOT_POOLED = {"data_load_times"}, {"on_time_checks"}

# Datasets that differ by their contract alone come from one file. Everything else: defs/<zone>/<dataset>.py.
FACTORIES = {
    "oltp": "oltp/tables.py",
    "raw": "raw/tables.py",
    "raw/transactions_stream": "raw/transactions_stream.py",
    "clean": "clean/tables.py",
    "quarantine": "clean/tables.py",
    "quarantine/repairs": "quarantine/decisions.py",
    "quarantine/reveals": "quarantine/decisions.py",
    "curated": "curated/tables.py",
    "landing": "landing/tables.py",
} | dict.fromkeys(DBT_ZONES, "marts/models.py")


def name(key: dg.AssetKey) -> str:
    """Test id: the asset key."""
    return key.to_user_string()


def modules() -> Iterator[tuple[str, Path]]:
    """Every module below defs/ that belongs to a zone, with its file."""
    for found in pkgutil.walk_packages([str(FOLDER)], prefix="payments_platform.defs."):
        path = FOLDER.joinpath(*found.name.split(".")[2:]).with_suffix(".py")
        if not found.ispkg and path.parent.name not in {"defs", "_platform"}:
            yield found.name, path


def keys_in(value: object) -> set[dg.AssetKey]:
    """The keys of the assets that a module-level value holds."""
    if isinstance(value, dg.AssetsDefinition) and not isinstance(value, dg.AssetChecksDefinition):
        return set(value.keys)
    if isinstance(value, dg.AssetSpec):
        return {value.key}
    return {key for item in value for key in keys_in(item)} if isinstance(value, list) else set()


@pytest.mark.row("C5")
@pytest.mark.parametrize("key", MADE, ids=name)
def test_a_table_is_gated_by_its_contract(key: dg.AssetKey) -> None:
    """Without the gate a wrong table is read by the next one before anybody has seen it."""
    gates = {check.name: GRAPH.get(check).blocking for check in GRAPH.get(key).check_keys}
    assert gates["contract"] is True


@pytest.mark.row("C5")
@pytest.mark.parametrize("key", [key for key in KEYS if key not in MADE], ids=name)
def test_a_source_is_observed(key: dg.AssetKey) -> None:
    """Row security that hides a row gives no error: the row is just missing, in every table."""
    assert GRAPH.get(key).is_external
    assert "readable" in {check.name for check in GRAPH.get(key).check_keys}


@pytest.mark.parametrize("key", KEYS, ids=name)
def test_an_asset_key_leads_to_its_file(key: dg.AssetKey) -> None:
    zone, table = key.path
    wanted = FACTORIES.get(name(key)) or FACTORIES.get(zone) or f"{zone}/{table}.py"
    holding = {
        path.relative_to(FOLDER).as_posix()
        for module, path in modules()
        if any(key in keys_in(value) for value in vars(importlib.import_module(module)).values())
    }
    assert holding == {wanted}


def test_every_factory_is_in_use() -> None:
    """A factory that makes one asset is a file with the wrong name."""
    zones = {key.path[0] for key in KEYS} | {name(key) for key in KEYS}
    assert set(FACTORIES) <= zones


@pytest.mark.row("E1")
@pytest.mark.parametrize("asset", [asset for _, asset in ASSETS], ids=[op for op, _ in ASSETS])
def test_an_asset_retries_and_queues_for_the_warehouse(asset: dg.AssetsDefinition) -> None:
    """DuckDB bears one writer; a step outside the pool fails on the lock, or makes the other fail."""
    zones = {key.path[0] for key in asset.keys}
    assert asset.op.retry_policy == RETRY
    assert asset.op.pool == ("warehouse" if zones & POOLED_ZONES or asset.op.name in POOLED_TOO else None)
    assert zones == POOLED_ZONES - {"landing"} or asset.op.tags["zone"] in zones


@pytest.mark.row("E1")
@pytest.mark.parametrize("check", [check for _, check in CHECKS], ids=[op for op, _ in CHECKS])
def test_a_check_retries_and_queues_for_the_warehouse(check: dg.AssetChecksDefinition) -> None:
    """Reading opens the file too: a check beside a load fails on the lock and turns a good day red."""
    zones = {key.asset_key.path[0] for key in check.check_keys}
    assert check.op.retry_policy == RETRY
    assert check.op.pool == ("warehouse" if zones & POOLED_ZONES and check.op.name not in NOT_POOLED else None)


def test_the_op_of_an_asset_shares_its_name_with_no_job() -> None:
    """A graph that shows one name twice is read wrongly once a week."""
    assert not {op for op, _ in (*ASSETS, *CHECKS)} & {job.name for job in defs.resolve_all_job_defs()}


def made_by_decorator(path: Path) -> list[ast.FunctionDef]:
    """The decorated functions of a definition module: bodies of assets and checks."""
    found = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
    return [node for node in found if node.decorator_list]


@pytest.mark.parametrize("path", [path for _, path in modules()], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_body_of_an_asset_is_short(path: Path) -> None:
    """Logic in an asset is logic that only a run can try."""
    lengths = {
        node.name: node.body[-1].end_lineno - node.lineno  # type: ignore[operator]
        for node in made_by_decorator(path)
    }
    assert {asset: lines for asset, lines in lengths.items() if lines > 25} == {}


def test_the_walk_over_bodies_finds_them() -> None:
    """A test of the test: an empty walk would pass for ever."""
    assert len([node for _, path in modules() for node in made_by_decorator(path)]) >= 10
