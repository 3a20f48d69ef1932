"""The metrics of every table. A module-level Metric is a registered one: its presence is all it takes."""

from __future__ import annotations

import math

from stsfusion.errors import ProblemError, nearest
from stsfusion.quality import formulas
from stsfusion.quality.metric import Metric, by_band

__all__ = ["CC", "ERGAS", "MRAE", "PSNR", "RMSE", "SAM", "SSIM", "UIQI", "choose", "metrics"]

CC = Metric(
    name="cc",
    title="correlation coefficient",
    unit="1",
    ideal=1.0,
    direction="higher",
    convention="Pearson's, per band and date, mean over bands, then dates; 0 where the answer alone is "
    "constant; bands with constant truth are left out.",
    source="Pearson (1895), doi:10.1098/rspl.1895.0041",
    formula=by_band(formulas.cc),
)

SAM = Metric(
    name="sam",
    title="spectral angle",
    unit="degree",
    ideal=0.0,
    direction="lower",
    convention="Angle of the whole spectrum, mean over pixels, then dates; pixels with a zero true spectrum "
    "are left out; a zero answer to a true spectrum counts 90 degrees.",
    source="Kruse et al. (1993), doi:10.1016/0034-4257(93)90013-N",
    formula=formulas.sam,
)

PSNR = Metric(
    name="psnr",
    title="peak signal-to-noise ratio",
    unit="dB",
    ideal=-20 * math.log10(formulas.RESOLUTION),
    direction="higher",
    convention="Peak is the truth's maximum of that band and date; mean over bands, then dates; held at "
    "144.5 dB, the resolution of float32; bands whose peak is not above zero are left out.",
    source="Yokoya et al. (2017), doi:10.1109/MGRS.2016.2637824",
    formula=by_band(formulas.psnr),
)

SSIM = Metric(
    name="ssim",
    title="structural similarity",
    unit="1",
    ideal=1.0,
    direction="higher",
    convention="Gaussian of 11 × 11 pixels and sigma 1.5 on windows that lie wholly in the image and hold no "
    "gap, range = max − min of the truth of that band and date; mean over windows, bands, then dates; bands "
    "with constant truth and images below 11 pixels are left out.",
    source="Wang et al. (2004), doi:10.1109/TIP.2003.819861",
    formula=by_band(formulas.ssim),
)

RMSE = Metric(
    name="rmse",
    title="root mean square error",
    unit="reflectance",
    ideal=0.0,
    direction="lower",
    convention="Per band and date, mean over bands, then dates.",
    source="Yokoya et al. (2017), doi:10.1109/MGRS.2016.2637824",
    formula=by_band(formulas.rmse),
)

ERGAS = Metric(
    name="ergas",
    title="relative global error in synthesis",
    unit="1",
    ideal=0.0,
    direction="lower",
    convention="100 / ratio (not 100 · ratio) times the root of the mean over bands of MSE over the truth's "
    "mean squared; mean over dates; bands with zero mean are left out.",
    source="Wald (2000), 'Quality of high resolution synthesised images: is there a simple criterion?'",
    formula=formulas.ergas,
)

UIQI = Metric(
    name="uiqi",
    title="universal image quality index",
    unit="1",
    ideal=1.0,
    direction="higher",
    convention="All windows of 8 × 8 pixels without a gap, mean over windows, bands, then dates; windows in "
    "which answer and truth are constant compare the means alone, windows of zeros are left out.",
    source="Wang & Bovik (2002), doi:10.1109/97.995823",
    formula=by_band(formulas.uiqi),
)

MRAE = Metric(
    name="mrae",
    title="mean relative absolute error",
    unit="1",
    ideal=0.0,
    direction="lower",
    convention="Per band and date over pixels whose truth is not zero, mean over bands, then dates.",
    source="Arad et al. (2022), NTIRE spectral recovery challenge",
    formula=by_band(formulas.mrae),
)


def metrics() -> dict[str, Metric]:
    """Every metric of this module by name, in the order in which they stand."""
    return {thing.name: thing for thing in globals().values() if isinstance(thing, Metric)}


def choose(names: list[str] | tuple[str, ...] | None = None) -> dict[str, Metric]:
    """The metrics of these names in this order, or all.

    Raises
    ------
    ProblemError
        When there is no metric of such a name.
    """
    known = metrics()
    for name in names or ():
        if name not in known:
            raise ProblemError(f"metric '{name}'", expected="a metric's name", mend=nearest(name, known))
    return known if names is None else {name: known[name] for name in names}
