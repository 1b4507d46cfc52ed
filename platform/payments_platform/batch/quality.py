"""The quality report: what each rule found on each day, as rows and as a picture, from manifests alone.

Belongs here: counting and drawing. Does not: judging rows (validate.py), where the report is shown.
"""

import io
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Final

import polars as pl

from payments_platform.batch.as_usual import comparisons, versions
from payments_platform.batch.personal import text_counts
from payments_platform.batch.validate import SUPERSEDED
from payments_platform.contracts.catalogue import dataset
from payments_platform.contracts.operations import QUALITY_REPORT, WHOLE_TABLE
from payments_platform.lake.manifest import Manifest

RULE: Final = "rule:"
# As many lines as an eye tells apart: the rules broken most.
_DRAWN_RULES: Final = 8


def quality_report(manifests: Iterable[Manifest], day: date) -> pl.DataFrame:
    """The report of a day, by its contract: a row per table and rule, and a row per table (rule empty).

    ``manifests`` are those of the clean datasets and, for what their texts hold, of the raw ones; those of earlier
    days are what the day's warnings compare it with.
    """
    known = list(manifests)
    of_day = [manifest for manifest in known if manifest.day == day]
    rows = [row for manifest in of_day if not _is_raw(manifest) for row in _rows_of(manifest, known)]
    rows += [row for manifest in of_day if _is_raw(manifest) for row in _rows_of_text(manifest)]
    return pl.DataFrame(rows, schema=QUALITY_REPORT.schema).sort("table_name", "rule_id")


def quality_plot(manifests: Sequence[Manifest]) -> bytes:
    """A PNG: by day, the rows of all tables by fate, and the share of rows that broke each rule."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    report = pl.concat(
        [quality_report(manifests, day) for day in sorted({manifest.day for manifest in manifests})]
        or [pl.DataFrame(schema=QUALITY_REPORT.schema)]
    )
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    fates, shares = figure.subplots(2, 1, sharex=True)
    _draw_fates(fates, report)
    _draw_shares(shares, report)
    figure.autofmt_xdate()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    return picture.getvalue()


def _rows_of(manifest: Manifest, earlier: Sequence[Manifest]) -> list[dict[str, Any]]:
    table = manifest.dataset.split("/")[1]
    clean, quarantined = manifest.rows, _rows_in(manifest, f"quarantine/{table}")
    judged = versions(manifest)
    shared: dict[str, Any] = {"partition_date": manifest.day, "table_name": table, "judged_count": judged}
    whole: dict[str, Any] = {
        "rule_id": WHOLE_TABLE,
        "row_count": quarantined,
        "clean_count": clean,
        "quarantined_count": quarantined,
        "superseded_count": manifest.counts.get(SUPERSEDED, 0),
        "verdict": manifest.verdict,
        "findings": "; ".join(manifest.notes) or None,
    }
    severities = {rule.id: rule.severity.value for rule in dataset(manifest.dataset).rules}
    broken = {name.removeprefix(RULE): count for name, count in manifest.counts.items() if name.startswith(RULE)}
    of_rules: list[dict[str, Any]] = [
        {"rule_id": rule, "severity": severities.get(rule), "row_count": count} for rule, count in broken.items()
    ]
    of_days: list[dict[str, Any]] = [
        {"rule_id": found.rule, "severity": "warn", "row_count": 0, "verdict": found.verdict, "findings": found.finding}
        for found in comparisons(manifest, earlier)
    ]
    return [
        shared | row | {"bad_ratio": row["row_count"] / judged if judged else 0.0}
        for row in (whole, *of_rules, *of_days)
    ]


def _is_raw(manifest: Manifest) -> bool:
    return manifest.dataset.startswith("raw/")


def _rows_of_text(manifest: Manifest) -> list[dict[str, Any]]:
    return [
        {
            "partition_date": manifest.day,
            "table_name": manifest.dataset.split("/")[1],
            "rule_id": rule,
            "severity": "warn",
            "row_count": count,
            "judged_count": manifest.rows,
            "bad_ratio": count / manifest.rows if manifest.rows else 0.0,
        }
        for rule, count in text_counts(manifest).items()
    ]


def _rows_in(manifest: Manifest, name: str) -> int:
    return manifest.outputs[name].rows if name in manifest.outputs else 0


def _draw_fates(axes: Any, report: pl.DataFrame) -> None:  # noqa: ANN401 - matplotlib axes, imported late
    fates = {"clean_count": "#2a9d8f", "superseded_count": "#adb5bd", "quarantined_count": "#d1495b"}
    by_day = report.filter(pl.col("rule_id") == WHOLE_TABLE).group_by("partition_date").agg(pl.col(*fates).sum())
    by_day = by_day.sort("partition_date")
    below = [0] * by_day.height
    for column, colour in fates.items():
        heights = by_day[column].to_list()
        axes.bar(by_day["partition_date"].to_list(), heights, bottom=below, color=colour, label=column.split("_")[0])
        below = [low + height for low, height in zip(below, heights, strict=True)]
    axes.set_ylabel("rows")
    axes.set_title("Rows by day")
    if by_day.height:
        axes.legend(loc="upper left", fontsize="small")


def _draw_shares(axes: Any, report: pl.DataFrame) -> None:  # noqa: ANN401 - matplotlib axes, imported late
    rules = report.filter((pl.col("rule_id") != WHOLE_TABLE) & (pl.col("row_count") > 0))
    label = pl.format("{} {}", "table_name", "rule_id")
    worst = (
        rules.group_by(label.alias("label")).agg(pl.col("row_count").sum()).sort("row_count", "label", descending=True)
    )
    days = report["partition_date"].unique().sort().to_list()
    for name in worst["label"].head(_DRAWN_RULES):
        found = rules.filter(label == name)
        ratios = dict(zip(found["partition_date"], found["bad_ratio"], strict=True))
        axes.plot(days, [100 * ratios.get(day, 0.0) for day in days], marker="o", markersize=3, label=name)
    axes.set_ylabel("% of rows judged")
    axes.set_title("Rows that broke a rule" if worst.height else "No row broke a rule")
    if worst.height:
        axes.legend(loc="upper left", fontsize="x-small")
