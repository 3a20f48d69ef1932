"""Together: scenes whose numbers mean different things become neither one date nor, unsaid, one cube."""

from __future__ import annotations

import warnings

from stsfusion.ingest.choose import Chosen
from stsfusion.ingest.options import Options
from stsfusion.ingest.refusal import DeliveryError

__all__ = ["check_together"]


def check_together(chosen: Chosen, options: Options) -> None:
    """Hold the scenes of each cube against each other: surface reflectance, or at the top of the atmosphere.

    Dates that differ are told of by a warning; without haze all count as surface reflectance.

    Raises
    ------
    DeliveryError
        When one date would be laid together from both.
    """
    if options.atmosphere != "none":
        return
    for role, days in chosen.days.items():
        kinds = set()
        for day in days:
            surface = [scene.name for scene in day.scenes if scene.values == "reflectance"]
            above = [scene.name for scene in day.scenes if scene.values != "reflectance"]
            if surface and above:
                raise DeliveryError(
                    f"role '{role}', {day.time:%Y-%m-%d}",
                    expected="scenes of one quantity on one date",
                    got=f"surface reflectance ({', '.join(surface)}) and reflectance at the top of the "
                    f"atmosphere ({', '.join(above)})",
                    mend="Take one of them out of the folder, or say ingest.atmosphere: dark-object.",
                )
            kinds.add(bool(surface))
        if len(kinds) > 1:
            warnings.warn(
                f"role '{role}': some dates are surface reflectance, others reflectance at the top of the "
                "atmosphere; ingest.atmosphere: dark-object brings them closer",
                UserWarning,
                stacklevel=3,
            )
