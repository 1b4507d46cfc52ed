"""Capture and its guardian, put together from the settings.

Belongs here: which address and role each part gets. Does not: any of their work.
"""

from payments_platform.clients.connect import Connect
from payments_platform.settings import Settings
from payments_platform.streaming.capture.control import Capture, Say, silent
from payments_platform.streaming.capture.observe import Places
from payments_platform.streaming.topics import ONE_BROKER, THREE_BROKERS, Durability


def capture_of(settings: Settings, say: Say = silent) -> Capture:
    """The capture of this environment. Raises SettingMissing naming what is not set or not up."""
    return Capture(
        source=settings.postgres("primary", "capture"),
        history=settings.postgres("primary", "extract"),
        connect=Connect(settings.connect_url()),
        kafka=settings.kafka_servers(),
        epoch=settings.epoch,
        durability=_durability(settings),
        largest_change=settings.largest_change_mib * 2**20,
        say=say,
    )


def places_of(settings: Settings) -> Places:
    """Where the guardian looks."""
    return Places(
        source=settings.postgres("primary", "capture"),
        connect=Connect(settings.connect_url()),
        kafka=settings.kafka_servers(),
        epoch=settings.epoch,
        replica=settings.postgres("replica", "extract"),
        durability=_durability(settings),
    )


def _durability(settings: Settings) -> Durability:
    return ONE_BROKER if settings.environment in {"local", "test"} else THREE_BROKERS
