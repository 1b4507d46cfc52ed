"""Servers of the speed layer that an environment variable points to: checked at the start, never started or stopped.

Belongs here: asking them whether they serve, and saying which variable names one that does not. Does not: addresses
(settings), using them (clients/).
"""

from collections.abc import Callable, Mapping

from payments_platform.local.failures import StackError
from payments_platform.local.servers.connect import CONNECT, check_worker
from payments_platform.local.servers.elasticsearch import ELASTICSEARCH
from payments_platform.local.servers.kafka import KAFKA, check_brokers
from payments_platform.local.servers.mongodb import MONGODB, check_documents
from payments_platform.local.service import NotReady
from payments_platform.settings import STREAM_VARIABLES, Settings

_SECONDS = 5


def check(name: str, settings: Settings) -> None:
    """Raise ``NotReady`` unless the server that the variable names serves."""
    _CHECKS[name](settings)


def require(name: str, settings: Settings) -> None:
    """Raise ``StackError``, naming the variable, unless its server serves."""
    try:
        check(name, settings)
    except NotReady as why:
        variable = STREAM_VARIABLES[name]
        raise StackError(
            f"{variable} is set, so no {name} was started here, but what it names does not serve: {why}.",
            f"start that server, correct {variable}, or unset it to have one started here",
        ) from None


def _check_search(settings: Settings) -> None:
    from elasticsearch import ApiError, Elasticsearch, TransportError

    try:
        with Elasticsearch(settings.elasticsearch_url(), request_timeout=_SECONDS, max_retries=0) as client:
            health = client.cluster.health()
    except (ApiError, TransportError, ValueError) as error:
        raise NotReady(f"it does not answer ({type(error).__name__})") from None
    if health["status"] == "red":
        raise NotReady("its state is red")


_CHECKS: Mapping[str, Callable[[Settings], None]] = {
    KAFKA.name: lambda settings: check_brokers(settings.kafka_servers()),
    CONNECT.name: lambda settings: check_worker(settings.connect_url()),
    MONGODB.name: lambda settings: check_documents(settings.mongodb_uri().get_secret_value()),
    ELASTICSEARCH.name: _check_search,
}
