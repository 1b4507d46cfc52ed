"""How a lake asset's input is read: each day of the run through its manifest.

Writing is done by the asset's decorator, which commits all outputs of a day in one manifest; this IO manager only
confirms that the commit is there, so that a value Dagster believes stored is stored.
"""

import dagster as dg

from payments_platform.contracts.catalogue import dataset
from payments_platform.defs._platform.frames import DayFrames
from payments_platform.lake.errors import PartitionCorrupt, PartitionMissing
from payments_platform.lake.partitions import Lake
from payments_platform.vocabulary import day_of


class LakeIOManager(dg.IOManager):
    """Reads days of a dataset as lazy frames. Needs the ``lake`` resource."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuse a value whose days have no manifest."""
        written = dataset("/".join(context.asset_key.path))
        if not isinstance(obj, DayFrames):
            raise TypeError(f"{written.name}: a lake asset returns DayFrames, not {type(obj).__name__}")
        for day in obj:
            if self._lake.manifest(written, day) is None:
                raise PartitionMissing(written.name, day)

    def load_input(self, context: dg.InputContext) -> DayFrames:
        """Return the days that passed and can be read. A single day that is not raises; in a range it is left out.

        A day with a damaged file is failed, so that the end of the run names it.
        """
        read = dataset("/".join(context.asset_key.path))
        days = [day_of(key) for key in context.asset_partition_keys]
        frames = DayFrames()
        for day in days:
            manifest = self._lake.manifest(read, day)
            if len(days) > 1 and (manifest is None or manifest.verdict != "passed"):
                context.log.warning("%s[%s] has not passed its checks: the day is left out", read.name, day)
                continue
            try:
                frames[day] = self._lake.scan(read, day)
            except PartitionCorrupt as damage:
                if len(days) == 1:
                    raise
                context.log.warning("%s", damage)
                self._lake.set_verdict(read, day, "failed", [str(damage)])
        return frames
