"""The dbt project as assets: one asset per model, one check per dbt test, built in one op after the day has landed."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets

from payments_platform.contracts.catalogue import DATASETS, dataset, of_zone
from payments_platform.defs._platform.failures import RETRY, explained
from payments_platform.defs._platform.resources import WAREHOUSE_POOL
from payments_platform.defs._platform.specs import USED_BY, contract_metadata
from payments_platform.defs._platform.warehouse_checks import model_checks
from payments_platform.errors import ExplainedError
from payments_platform.settings import load_settings
from payments_platform.vocabulary import DBT_ZONES, TEAM_OF_ZONE
from payments_platform.warehouse.protocol import Warehouse

DBT_PROJECT = Path(__file__).parents[4] / "dbt"
MANIFEST = DBT_PROJECT / "target" / "manifest.json"


class DbtManifestMissing(ExplainedError):
    """The dbt project has not been parsed yet, so its models are unknown."""


class DbtManifestStale(ExplainedError):
    """The dbt project has changed since it was parsed: what would be built is not what the graph shows."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"dbt/target/manifest.json is not of the models beside it ({what}). Run: make setup (it parses them again),"
            " then start again what uses the definitions: make down, make up"
        )


def _manifest() -> Mapping[str, Any]:
    """Read the build artefact that ``make setup`` leaves. Parsing at import would cost every process 3 seconds."""
    if not MANIFEST.exists():
        raise DbtManifestMissing("dbt/target/manifest.json is missing. Run: make setup")
    parsed: Mapping[str, Any] = json.loads(MANIFEST.read_bytes())
    return parsed


def refuse_other_models(manifest: Mapping[str, Any]) -> None:
    """Raise DbtManifestStale when models have come or gone since the manifest was made."""
    nodes = manifest["nodes"].values()
    known = {node["original_file_path"] for node in nodes if node["resource_type"] == "model"}
    present = {path.relative_to(DBT_PROJECT).as_posix() for path in (DBT_PROJECT / "models").rglob("*.sql")}
    if known != present:
        raise DbtManifestStale(", ".join(sorted(known ^ present)))


def known_events(events: Iterator[Any]) -> Iterator[Any]:
    """Pass the events of a dbt run on. Raises DbtManifestStale for one of a node that the manifest lacks.

    dagster-dbt looks each node up, and would end the run with the bare key of a test or model of a later project.
    """
    try:
        yield from events
    except KeyError as missing:
        unknown = str(missing.args[0]) if missing.args else ""
        if unknown.partition(".")[0] not in {"model", "test", "source", "exposure"}:
            raise
        raise DbtManifestStale(unknown) from missing


def _used_by(manifest: Mapping[str, Any], unique_id: str) -> dict[str, str]:
    """The consumers outside the warehouse that read a model, from dbt's exposures."""
    labels = [it["label"] for it in manifest["exposures"].values() if unique_id in it["depends_on"]["nodes"]]
    return {USED_BY: ", ".join(sorted(labels))} if labels else {}


class ContractTranslator(DagsterDbtTranslator):
    """Names a model by its folder and takes its columns and description from its contract."""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:  # noqa: ANN401 - dagster-dbt's signature
        """The spec of a model or source: key ``zone/name``, owner by zone, columns from the contract."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = manifest["sources"].get(unique_id) or manifest["nodes"][unique_id]
        zone = node["schema"] if unique_id in manifest["sources"] else node["fqn"][1]
        contract = DATASETS.get(f"{zone}/{node['name']}")
        return spec.replace_attributes(
            key=dg.AssetKey([zone, node["name"]]),
            group_name=zone,
            owners=[f"team:{TEAM_OF_ZONE[zone]}"],
            description=contract.grain if contract else node["description"],
            metadata={
                **spec.metadata,
                **(contract_metadata(contract) if contract else {}),
                **_used_by(manifest, unique_id),
            },
            kinds={"dbt", "duckdb"},
        )


def landing_of_models(manifest: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """By model, the landing tables that it is made from, however far back; all of them for one that reads none.

    A model without an input (a calendar) covers the days that a build covers.
    """
    every = tuple(landing.name for landing in of_zone("landing"))
    found: dict[str, frozenset[str]] = {}

    def of(unique_id: str) -> frozenset[str]:
        if unique_id in manifest["sources"]:
            return frozenset({f"landing/{manifest['sources'][unique_id]['name']}"})
        if unique_id not in found:
            parents = manifest["nodes"][unique_id]["depends_on"]["nodes"]
            found[unique_id] = frozenset[str]().union(*(of(parent) for parent in parents))
        return found[unique_id]

    models = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    return {f"{node['fqn'][1]}/{node['name']}": tuple(sorted(of(key))) or every for key, node in models.items()}


PARSED: Final = _manifest()


@dbt_assets(
    manifest=PARSED,
    dagster_dbt_translator=ContractTranslator(),
    name="dbt_models",
    pool=WAREHOUSE_POOL,
    op_tags={"zone": "marts"},
    retry_policy=RETRY,
)
@explained
def dbt_models(
    context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[Any]:
    """Run ``dbt build``: models and their tests in order; a failed error-severity test stops what reads the model.

    Unit tests judge the SQL and not the data, so they run in the test suite and not each night. A test between two
    models runs with the one that is built last: with the first alone it would fail on a table that is not there yet.
    """
    build = ["build", "--exclude-resource-type", "unit_test", "--indirect-selection", "buildable"]
    # Beside the file it builds, and the same each time: what dbt parsed once need not be parsed again.
    artifacts = load_settings().warehouse_path.parent / "dbt"
    refuse_other_models(PARSED)
    # Asked before dbt looks: what lands meanwhile is not in every model.
    landed, built = warehouse.highest_load(), set[dg.AssetKey]()
    for event in known_events(dbt.cli(build, context=context, target_path=artifacts).stream()):
        if isinstance(event, dg.Output):
            built.add(context.asset_key_for_output(event.output_name))
        yield event
    warehouse.record_builds([dataset(key.to_user_string()) for key in built], landed, now=datetime.now(UTC))


models_checks = model_checks([model for zone in DBT_ZONES for model in of_zone(zone)], landing_of_models(PARSED))
