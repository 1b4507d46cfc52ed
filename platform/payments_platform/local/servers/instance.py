"""The Dagster instance in the home of a stack: its policy, its workspace, the variables that lead to it.

Belongs here: what every process of Dagster needs to find the same records and definitions. Does not: the processes
(code_server.py, dagster.py), the policy itself (dagster.yaml at the root).
"""

from pathlib import Path
from typing import Final

from payments_platform.local.home import write_private
from payments_platform.local.service import Site
from payments_platform.settings import Settings

CODE_SERVER: Final = "code-server"
LOCATION: Final = "payments_platform"
# To launch a run a process is started, which takes longer than Dagster's 60 s when all cores are busy: a run that it
# then calls failed has started all the same, and is thrown away.
_ANSWER_SECONDS: Final = 300


def prepare_policy(site: Site) -> bool:
    """Copy the instance's policy into the home, where no stray ``.env`` overrides it; say whether it changed."""
    text = (site.project / "dagster.yaml").read_text(encoding="utf-8")
    return write_private(site.home.dagster / "dagster.yaml", text)


def prepare_workspace(site: Site) -> bool:
    """Write where the definitions are served; say whether that changed."""
    server = f"host: {site.host}\n      port: {site.ports[CODE_SERVER]}\n      location_name: {LOCATION}"
    return write_private(workspace_of(site), f"load_from:\n  - grpc_server:\n      {server}\n")


def workspace_of(site: Site) -> Path:
    """The file that tells the web server and the daemon where the definitions are served."""
    return site.home.dagster / "workspace.yaml"


def environment(site: Site) -> dict[str, str]:
    """Return the variables that Dagster and the platform's code need to use this stack from any shell.

    A start of a few servers may leave out the one that Dagster's records lie in: then nothing is said of them.
    """
    settings = Settings(home=site.home.root, environment=site.environment)
    variables = {
        "DAGSTER_HOME": str(site.home.dagster),
        "DAGSTER_GRPC_TIMEOUT_SECONDS": str(_ANSWER_SECONDS),
        "PAYMENTS_ENVIRONMENT": site.environment,
        "PAYMENTS_HOME": str(site.home.root),
        "PAYMENTS_WAREHOUSE_PATH": str(settings.warehouse_path),
    }
    if "platform" in site.ports:
        # The driver is named: Dagster's notifications are SQL that psycopg 3, SQLAlchemy's default, refuses.
        address = f"dagster:{site.passwords['dagster']}@{site.host}:{site.ports['platform']}/dagster"
        variables["PAYMENTS_PLATFORM_DAGSTER_URL"] = f"postgresql+psycopg2://{address}"
    return variables
