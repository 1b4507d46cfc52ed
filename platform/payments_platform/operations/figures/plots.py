"""Pictures of the figures. Belongs here: PNGs made from rows. Does not: the rows."""

import io
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_SHOWN: Final = ("job_success_ratio", "job_duration_ratio", "job_retry_ratio")
_COLOURS: Final = {"met": "tab:green", "breached": "tab:red", "not measured": "lightgrey"}


def weeks_plot(figures: pl.DataFrame) -> bytes:
    """Success, duration beside the usual and retries of each job, by week, each beside its target."""
    drawing, axes = _drawing(len(_SHOWN))
    for place, name in enumerate(_SHOWN):
        rows = figures.filter(pl.col("figure") == name).drop_nulls("value").sort("week_date")
        for (job,), weeks in sorted(rows.group_by("subject"), key=lambda group: str(group[0][0])):
            axes[place].plot(weeks["week_date"].to_list(), weeks["value"].to_list(), marker="o", label=str(job))
        targets = figures.filter(pl.col("figure") == name)["target"].drop_nulls()
        if len(targets):
            axes[place].axhline(float(targets[0]), color="black", linestyle="--", linewidth=1)
        axes[place].set_title(name)
        if rows.height:
            axes[place].legend(fontsize="small")
    return _png(drawing)


def register_plot(register: pl.DataFrame) -> bytes:
    """The months of the register: a cell for each level, by verdict."""
    drawing, (axes,) = _drawing(1)
    months = sorted(register["month_date"].unique().to_list())
    levels = register["service_level"].unique(maintain_order=True).to_list()
    for row in register.iter_rows(named=True):
        at = (months.index(row["month_date"]), levels.index(row["service_level"]))
        axes.scatter(*at, marker="s", s=400, color=_COLOURS[row["verdict"]])
    axes.set_xticks(range(len(months)), [f"{month:%Y-%m}" for month in months])
    axes.set_yticks(range(len(levels)), levels)
    axes.margins(0.2)
    axes.set_title(", ".join(f"{colour.removeprefix('tab:')}: {name}" for name, colour in _COLOURS.items()))
    return _png(drawing)


def _drawing(count: int) -> tuple["Drawing", list]:  # type: ignore[type-arg]  # axes, which matplotlib types as Any
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(10, 3 * count), layout="constrained")
    FigureCanvasAgg(drawing)
    return drawing, list(drawing.subplots(count, 1, squeeze=False)[:, 0])


def _png(drawing: "Drawing") -> bytes:
    drawing.autofmt_xdate()
    picture = io.BytesIO()
    drawing.savefig(picture, format="png", dpi=100)
    return picture.getvalue()
