"""Protocol: which instruments look at a true cube, when, and with what errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from stsfusion.errors import ProblemError, nearest
from stsfusion.fusion.problem import ROLES, Role
from stsfusion.sensing.sensor import Sensor, load_sensor

__all__ = ["Protocol"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """'Dataset I': a rich, a sharp and a dense sensor look at the same true series.

    The rich sensor sees the truth's own bands. The sharp one (ratio 1) sees the rich one's dates, as if both
    flew on one platform. The dense one sees every date. Defaults stay as they are, so that figures can be
    compared over the years.
    """

    dense: str | Sensor | None = "gf6-wfv"
    """The sensor, or its name in the catalogs; None: the role is absent."""

    sharp: str | Sensor | None = "zy1-02d-vnic"
    """The same for the sharp role."""

    rich_ratio: int = 3
    """Truth pixels along one side of a rich pixel."""

    dense_ratio: int = 2
    """Truth pixels along one side of a dense pixel."""

    rich_dates: tuple[int, ...] | None = None
    """Indices of the dates that rich and sharp see; None: every second one, so 0, 2, 4, 6 of 7."""

    psf: str = "gaussian"
    """Point spread function of rich and dense, see `optics.point_spread`; 'gaussian' has a full width at
    half maximum of one ratio."""

    snr_db: float | None = None
    """Signal-to-noise ratio of every band and date, dB; None: the noise and striping of `noise.levels`."""

    shift: float = 0.0
    """Misregistration of rich and dense, truth pixels: a vector of this length in a random direction for each
    date. Views do not know it."""

    gain: float = 0.0
    """Radiometric error of dense, percent: a factor 1 + N(0, gain) a date and band. Views do not know it."""

    clouds: Mapping[Role, float] = field(default_factory=dict)
    """Share of cloudy pixels of each date, 0 to 1, by role; rich and sharp look at the same clouds."""

    cloudy_dates: tuple[int, ...] | None = None
    """Indices of the dates that have clouds; None: all."""

    lost: Mapping[Role, int] = field(default_factory=dict)
    """Number of dates that are missing altogether, by role; which ones is drawn by lot."""

    seed: int = 0
    """Of everything that is drawn; each role, date and effect has a stream of its own."""

    def __post_init__(self) -> None:
        self._check("rich_ratio, dense_ratio", "1 or more", min(self.rich_ratio, self.dense_ratio) >= 1)
        self._check("shift, gain, seed", "0 or more", min(self.shift, self.gain, self.seed) >= 0)
        self._check("clouds", "shares from 0 to below 1", all(0 <= s < 1 for s in self.clouds.values()))
        self._check("lost", "0 or more dates", all(count >= 0 for count in self.lost.values()))
        for name in ("clouds", "lost"):
            for role in getattr(self, name):
                if role not in ROLES:
                    raise ProblemError(
                        f"protocol, {name}", expected="a role", got=f"'{role}'", mend=nearest(role, ROLES)
                    )

    def _check(self, what: str, expected: str, right: bool) -> None:
        if not right:
            got = ", ".join(str(getattr(self, name)) for name in what.split(", "))
            raise ProblemError(f"protocol, {what}", expected=expected, got=got)

    def sensor(self, role: Role) -> Sensor | None:
        """The role's instrument; None for rich, which sees the truth's own bands, and for absent roles.

        Raises
        ------
        SensorError
            When there is no sensor of that name.
        """
        chosen: str | Sensor | None = None if role == "rich" else getattr(self, role)
        return load_sensor(chosen) if isinstance(chosen, str) else chosen

    def ratio(self, role: Role) -> int:
        """Truth pixels along one side of a pixel of this role."""
        return {"rich": self.rich_ratio, "sharp": 1, "dense": self.dense_ratio}[role]

    def dates(self, role: Role, count: int) -> list[int]:
        """Indices of the dates, of this many, that the role is planned to see, before any are lost.

        Raises
        ------
        ProblemError
            When `rich_dates` names a date twice, none, or one that there is not.
        """
        if role == "dense":
            return list(range(count))
        chosen = range(0, count, 2) if self.rich_dates is None else sorted(self.rich_dates)
        if not chosen or len(set(chosen)) < len(chosen) or chosen[0] < 0 or chosen[-1] >= count:
            raise ProblemError(
                "protocol, rich_dates",
                expected=f"distinct indices from 0 to {count - 1}",
                got=", ".join(map(str, self.rich_dates or ())) or "none",
                mend=f"The series has {count} dates.",
            )
        return list(chosen)

    def share_of_clouds(self, role: Role, date: int) -> float:
        """Of a role's pixels of a date."""
        cloudy = self.cloudy_dates is None or date in self.cloudy_dates
        return self.clouds.get(role, 0.0) if cloudy else 0.0

    def refuse_strange_dates(self, count: int) -> None:
        """Refuse clouds on dates that a series of so many dates has not.

        Raises
        ------
        ProblemError
            When `cloudy_dates` names one.
        """
        strange = [date for date in self.cloudy_dates or () if not 0 <= date < count]
        if strange:
            raise ProblemError(
                "protocol, cloudy_dates",
                expected=f"indices from 0 to {count - 1}",
                got=", ".join(map(str, strange)),
                mend=f"The series has {count} dates.",
            )

    def settings(self) -> dict[str, object]:
        """All options as plain data, sensors by name: what stands beside published figures."""
        plain = {option.name: getattr(self, option.name) for option in fields(self)}
        return {name: _plain(value) for name, value in plain.items()}


def _plain(value: object) -> object:
    if isinstance(value, Sensor):
        return value.name
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
