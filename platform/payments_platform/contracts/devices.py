"""Contracts of the devices that customers pay with, from raw to curated.

A device's identifier leads to a person, so it stays in raw and clean, where fraud features read it; curated knows the
device by a token of its own that no payment carries.
"""

from dataclasses import replace
from typing import Final

import polars as pl

from payments_platform.contracts import columns as c
from payments_platform.contracts.dataset import Column, Pii
from payments_platform.contracts.lake_zones import CapturedTable, curated_columns
from payments_platform.contracts.rules import clock_skew, not_null, one_of, op_known, time_order, token_form

DEVICE_TYPES: Final = ("mobile", "tablet", "desktop", "terminal")

_COLUMNS: Final = (
    Column("device_id", pl.String(), "Identifier of the device.", "dev_sample", pii=Pii.PERSONAL),
    c.EPOCH,
    c.VERSION,
    c.OP,
    c.CUSTOMER_ID,
    Column(
        "device_token",
        pl.String(),
        "Pseudonym of the device: keyed hash minted once by the source.",
        "dvt_" + "b" * 64,
        pii=Pii.PSEUDONYM,
    ),
    replace(c.DEVICE_TYPE, nullable=False),
    c.OS_NAME,
    c.BROWSER_NAME,
    c.known("customer"),
    c.CREATED_AT,
    c.UPDATED_AT,
    c.LOAD_ID,
)

DEVICES: Final = CapturedTable(
    "devices",
    entity="a device",
    domain="customers",
    columns=_COLUMNS,
    key="device_id",
    fixed="customer_id device_token",
    rules=(
        op_known(),
        not_null("R-reference-present", "customer_id", "device_token", "created_at").of_deletes(),
        token_form("device_token", "dvt"),
        not_null("R-device-present", "device_type"),
        one_of("R-device-known", "device_type", DEVICE_TYPES),
        time_order(),
        clock_skew(),
    ),
).lake_zones(
    curated_columns(_COLUMNS, "device_token epoch version device_type os_name browser_name"),
    curated_key="device_token",
    note="known by a token that no payment carries",
)

DATASETS: Final = DEVICES.datasets
