"""What commands say beside their result: sentences and progress, on stderr, so that a pipe gets the result alone.

Belongs here: how it is printed. Does not: what is said, results (each command's own).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

Advance = Callable[[int], None]
_err = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """One sentence, as it is: brackets in it are no markup, and a long line stays one."""
    _err.print(text, markup=False, soft_wrap=True)


@contextmanager
def counting(what: str) -> Iterator[Advance]:
    """A progress line on stderr that counts."""
    columns = (TextColumn("{task.completed:,.0f} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=_err, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda count: bar.advance(task, count)
