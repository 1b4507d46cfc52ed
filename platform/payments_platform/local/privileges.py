"""Running servers that refuse the root account.

Belongs here: the command prefix that gives such a server another user id. Does not: the servers.
"""

import functools
import os
import pwd
import shutil
import subprocess

from payments_platform.local.failures import StackError

# In a user namespace of its own the process sees user 65534 while the files stay ours: no account, no chown,
# and a home below a folder that only root may enter still works.
_NAMESPACE = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")


@functools.cache
def unprivileged() -> tuple[str, ...]:
    """Return the command prefix under which PostgreSQL and Elasticsearch start; empty for a normal user.

    Both refuse root, PostgreSQL also a user id that has no account (containers often run under one). Raises
    ``StackError`` where there is no way around it: containers that forbid user namespaces.
    """
    reason = _refused()
    if reason is None:
        return ()
    if shutil.which("unshare"):
        trial = subprocess.run([*_NAMESPACE, "true"], capture_output=True, timeout=20, check=False)
        if trial.returncode == 0:
            return _NAMESPACE
    raise StackError(
        f"PostgreSQL and Elasticsearch refuse to run as {reason}, and this system does not allow user namespaces "
        "(a container without them, or util-linux older than 2.38).",
        "run the same command as a normal user, with PAYMENTS_HOME in a folder of that user",
    )


def _refused() -> str | None:
    """Return what is wrong with this account in PostgreSQL's eyes, or None."""
    if os.geteuid() == 0:
        return "root"
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return f"user id {os.geteuid()}, which has no account"
    return None
