"""Missing: scenes that cannot be used, told one by one; whether to go on without is for the user to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stsfusion.ingest.calibrate import GainsFile, calibration
from stsfusion.ingest.choose import Chosen
from stsfusion.ingest.refusal import DeliveryError
from stsfusion.ingest.sun import check_sun
from stsfusion.sensing.scene import Scene

__all__ = ["absent", "check_gains", "refuse_missing"]


def absent(chosen: Chosen) -> dict[str, str]:
    """Chosen scenes whose files are not where the catalog says: the reason, by scene."""
    told = {}
    for scene in _scenes(chosen):
        gone = _gone(scene)
        if gone is not None:
            told[scene.name] = f"{scene.name}: expected the file {gone.name}, as catalogued, got none."
    return told


def _gone(scene: Scene) -> Path | None:
    home = Path(scene.delivery)
    files = [home] if scene.archive else [home / file.path for file in scene.files]
    return next((path for path in files if not path.is_file()), None)


def _scenes(chosen: Chosen) -> list[Scene]:
    return [scene for days in chosen.days.values() for day in days for scene in day.scenes]


def check_gains(chosen: Chosen, gains: Mapping[str, GainsFile]) -> None:
    """Whether every scene can become reflectance, found out before anything is unpacked.

    Raises
    ------
    DeliveryError
        When gains lack, or are another instrument's, or the sun was too low, or stood elsewhere than the
        catalog says.
    """
    for scene in _scenes(chosen):
        check_sun(scene)
        for layer in scene.layers:
            calibration(scene, layer, gains.get(scene.sensor))


def refuse_missing(where: str, reasons: Sequence[str]) -> None:
    """Stop at deliveries that cannot be used.

    Raises
    ------
    DeliveryError
        When there are any, with every reason.
    """
    if reasons:
        count = len(reasons)
        raise DeliveryError(
            where,
            expected="deliveries that can all be used",
            got=f"{count} that cannot: {' | '.join(' '.join(reason.split()) for reason in reasons)}",
            mend="Mend them, or take them away; or go on without them: --set ingest.allow_missing=true. "
            "Cubes and report then say what is missing.",
        )
