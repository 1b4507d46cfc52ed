"""What every decision of a person is recorded with: who decides, and why.

Belongs here: the account, the reason. Does not: any decision, its record (each command's own).
"""

import os
import pwd
from typing import Annotated

import typer

Why = Annotated[str, typer.Option("--why", help="The reason, kept with the decision for ever.")]


def account() -> str:
    """The account that runs the command, which nobody can type."""
    return pwd.getpwuid(os.getuid()).pw_name


def must_say(why: str, otherwise: str = "a decision needs its reason") -> str:
    """The reason as it is kept. Raises BadParameter when there is none."""
    if not why.strip():
        raise typer.BadParameter(otherwise, param_hint="--why")
    return why.strip()
