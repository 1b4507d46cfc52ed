"""The one entry of Dagster: ``payments_platform.definitions``."""

from payments_platform.build import build

defs = build()
