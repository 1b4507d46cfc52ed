"""Pictures of the Dagster pages, taken in a real browser that nobody sees.

Belongs here: what each picture shows, and the steps to it. Does not: the data on it (.ci/pictures makes a month with a
day that fails), starting servers, where pictures are kept (commands/pictures.py).
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from payments_platform.errors import ExplainedError
from payments_platform.vocabulary import ZONES

if TYPE_CHECKING:
    from playwright.sync_api import FloatRect, Page

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
# The pages ask their server again and again; text that has come is all that one can wait for.
_TEXT_MS: Final = 60_000
_SETTLE_MS: Final = 4_000
# What lies left of and above the graph.
_BARS: Final = (370, 110)
_WAY: Final = (
    "oltp/transactions", "raw/transactions", "clean/transactions", "quarantine/transactions", "curated/transactions",
    "landing/transactions", "staging/stg_transactions", "marts/fact_transaction", "aggregates/merchant_daily",
)  # fmt: skip


class BrowserMissing(ExplainedError):
    """The browser, or the library that drives it, is not installed."""


@dataclass(frozen=True)
class Picture:
    """One picture: its file, its address, the size of the window, the steps to it, and what is cut out of it.

    ``steps`` gets the page and the last day that has a partition.
    """

    name: str
    path: str
    size: tuple[int, int]
    steps: "Callable[[Page, date], None]"
    cut: "Callable[[Page], FloatRect | None]"


def graph_path(datasets: tuple[str, ...]) -> str:
    """The address of the graph of some datasets with their zones unfolded."""
    selection = " or ".join(f'key:"{it}"' for it in datasets)
    unfolded = ",".join(f"global@global:{zone}" for zone in ZONES)
    return f"/asset-groups~{quote(selection, safe='')}/?expanded={quote(unfolded, safe='')}"


def _graph(page: "Page", last: date) -> None:
    del last
    page.get_by_text("transactions", exact=True).first.wait_for(timeout=_TEXT_MS)
    page.wait_for_timeout(_SETTLE_MS)
    # The first time the graph is fitted to the window before its places are known; the second time they are kept.
    page.reload()
    page.get_by_text("transactions", exact=True).first.wait_for(timeout=_TEXT_MS)


def _cards(page: "Page", last: date) -> None:
    """As the graph, near enough that each dataset shows its checks and partitions."""
    _graph(page, last)
    page.get_by_text("30 partitions").first.wait_for(timeout=_TEXT_MS)


def _backfill(page: "Page", last: date) -> None:
    """Choose a week in the dialog; nothing is launched."""
    page.get_by_text("Materialize all").first.click(timeout=_TEXT_MS)
    box = page.get_by_placeholder("No matching partitions").or_(page.get_by_role("dialog").get_by_role("textbox")).first
    box.fill(f"[{last - timedelta(days=6)}...{last}]")
    box.press("Enter")
    page.get_by_text("7 partitions").first.wait_for(timeout=_TEXT_MS)


def _failed_check(page: "Page", last: date) -> None:
    page.get_by_text(f"{last}: P-bad-ratio").first.wait_for(timeout=_TEXT_MS)


def _columns(page: "Page", last: date) -> None:
    del last
    page.get_by_text("created_date_key").first.wait_for(timeout=_TEXT_MS)


def _fold_navigation(page: "Page", url: str) -> None:
    """Once, for all pages of the window: what remains is legible at the size of a page."""
    page.goto(url)
    page.get_by_text("Hide navigation").click(timeout=_TEXT_MS)
    page.close()


def _whole(page: "Page") -> None:
    del page


def _without_bars(page: "Page") -> "FloatRect | None":
    size = page.viewport_size
    left, top = _BARS
    return {"x": left, "y": top, "width": size["width"] - left, "height": size["height"] - top} if size else None


def _dialog(page: "Page") -> "FloatRect | None":
    return page.get_by_role("dialog").bounding_box()


PICTURES: Final = (
    Picture("lineage", graph_path(_WAY), (1762, 520), _graph, _without_bars),
    Picture("assets", graph_path(_WAY[1:6]), (1622, 800), _cards, _without_bars),
    Picture("backfill", graph_path(_WAY[1:6]), (1300, 900), _backfill, _dialog),
    Picture(
        "failed-check",
        "/assets/clean/transactions?view=checks&checkDetail=rows_accounted_for",
        (1100, 620),
        _failed_check,
        _whole,
    ),
    Picture("catalog", "/assets/marts/fact_transaction?view=overview", (1200, 760), _columns, _whole),
)


def browser() -> Path:
    """The browser of this machine. Raises BrowserMissing, which says what installs it."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise BrowserMissing(
            "No Chromium is on the path. Debian, Ubuntu: sudo apt-get install -y chromium; then make pictures."
        )
    return Path(found)


def named(names: Sequence[str]) -> list[Picture]:
    """The pictures of these names, all without any. Raises KeyError that lists what there is."""
    known = {it.name: it for it in PICTURES}
    if unknown := set(names) - set(known):
        raise KeyError(f"no picture {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [known[name] for name in names or known]


def take(pictures: Iterable[Picture], url: str, last: date, folder: Path, *, is_root: bool) -> Iterator[Path]:
    """Take the pictures and yield the file of each.

    Raises BrowserMissing, and the driver's TimeoutError for a page that does not show what the picture is of: a wrong
    picture is never kept.
    """
    executable = browser()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise BrowserMissing("The library that drives the browser is missing. Run: make pictures") from None
    with sync_playwright() as driver:
        # Chromium refuses its sandbox to root; the only pages it sees are our own.
        arguments = ["--no-sandbox"] if is_root else []
        with driver.chromium.launch(executable_path=executable, args=arguments) as chromium:
            window = chromium.new_context(device_scale_factor=2)
            _fold_navigation(window.new_page(), url)
            for picture in pictures:
                width, height = picture.size
                page = window.new_page()
                page.set_viewport_size({"width": width, "height": height})
                page.goto(f"{url}{picture.path}")
                picture.steps(page, last)
                page.wait_for_timeout(_SETTLE_MS)
                path = folder / f"{picture.name}.png"
                page.screenshot(path=path, clip=picture.cut(page), animations="disabled")
                page.close()
                _shrink(path)
                yield path


def _shrink(path: Path) -> None:
    """Keep 128 colours: a page has few, and the file becomes a third."""
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(128)
    small.save(path, optimize=True)
