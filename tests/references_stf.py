"""STARFM and ESTARFM as their papers tell them, one pixel after the other, in numpy and double precision.

Images are (base, band, row, col); `known` (base, row, col) says where base and asked date were both seen.
"""

import numpy as np
from scipy.special import stdtr


def window_of(row, col, shape, radius):
    """Rows and columns of the search window, cut off at the image's edge."""
    return (
        slice(max(row - radius, 0), min(row + radius + 1, shape[0])),
        slice(max(col - radius, 0), min(col + radius + 1, shape[1])),
    )


def distances(row, col, window):
    rows, cols = np.mgrid[window]
    return np.hypot(rows - row, cols - col)


def trusted(known):
    """(base,) those that know a pixel; all where none does."""
    return known if known.any() else np.ones_like(known)


# ---------------------------------------------------------------- ESTARFM


def estarfm(
    fine, coarse, asked, known, *, spread, level, low, high, radius, classes=4.0, fewest=5,
    change=0.12, significance=0.05, steepest=5.0, margin=0.5, pixels=None,
):  # fmt: skip
    """(band, row, col) of the asked date; NaN at pixels that are not asked for."""
    shape = fine.shape[2:]
    out = np.full(fine.shape[1:], np.nan)
    settings = (spread, level, low, high, classes, fewest, change, significance, steepest, margin)
    moved = asked - coarse
    for row, col in np.ndindex(shape) if pixels is None else pixels:
        window = window_of(row, col, shape, radius)
        near = 1.0 + distances(row, col, window) / radius
        out[:, row, col] = _enhanced_pixel(
            *(image[(..., *window)] for image in (fine, coarse, asked, known)),
            near, fine[:, :, row, col], moved[:, :, row, col], known[:, row, col], *settings,
        )  # fmt: skip
    return out


def _enhanced_pixel(
    fine, coarse, asked, known, near, own, moved, here,
    spread, level, low, high, classes, fewest, change, significance, steepest, margin,
):  # fmt: skip
    bases, bands = own.shape
    alike = (np.abs(fine - own[..., None, None]) < 2.0 * spread[..., None, None] / classes).all((0, 1))
    alike &= known.any(0)
    shares = _temporal_shares(asked - coarse, known, moved, here, level)
    drift = np.stack([_window_change(asked - coarse, known, moved, m) for m in range(bases)])
    if alike.sum() <= fewest:
        return (shares * (own + drift)).sum(0)
    x, y = fine[..., alike], coarse[..., alike]
    weight = known[:, alike].mean(0) / ((1.0 - _likeness(x, y)) * near[alike] + 1e-7)
    weight /= weight.sum()
    out = np.empty(bands)
    for b in range(bands):
        slope = _conversion(x[:, b], y[:, b], known[:, alike], change * level, significance, steepest)
        each = own[:, b] + slope * ((asked[b] - coarse[:, b])[:, alike] * weight).sum(1)
        out[b] = (shares[:, b] * each).sum()
        span = margin * (high[b] - low[b])
        if not low[b] - span <= out[b] <= high[b] + span:
            out[b] = (shares[:, b] * (x[:, b] * weight).sum(1)).sum()
    return out


def _likeness(x, y):
    """(pixel,) correlation of fine and coarse spectra over bases and bands."""
    if x.shape[1] == 1:
        return 1.0 - (np.abs(x - y) / (np.abs(x) + np.abs(y))).mean((0, 1))
    x, y = (part.reshape(-1, part.shape[2]) for part in (x, y))
    x, y = x - x.mean(0), y - y.mean(0)
    with np.errstate(invalid="ignore"):
        found = (x * y).sum(0) / np.sqrt((x**2).sum(0) * (y**2).sum(0))
    return np.where(np.isnan(found), 0.5, found)


def _conversion(x, y, known, least, significance, steepest):
    """Slope of fine (base, pixel) on coarse, where the coarse image changed enough to tell."""
    means = [y[m][known[m]].mean() for m in range(len(y)) if known[m].any()]
    if max(means) - min(means) < least or np.ptp(y[known]) == 0:
        return 1.0
    x, y = x[known] - x[known].mean(), y[known] - y[known].mean()
    slope, freedom = (x @ y) / (y @ y), len(x) - 2
    left = x @ x - slope * (x @ y)
    chance = 2.0 * stdtr(freedom, -abs(slope) / np.sqrt(max(left, 1e-300) / freedom / (y @ y)))
    return slope if chance <= significance and 0.0 < slope <= steepest else 1.0


def _window_change(change, known, moved, m):
    return change[m][:, known[m]].mean(1) if known[m].any() else moved[m]


def _temporal_shares(change, known, moved, here, level):
    """(base, band) inverse of the mean coarse change over all of the window."""
    trust = trusted(here)
    inverse = np.stack(
        [
            trust[m] / (np.abs(_window_change(change, known, moved, m)) + 1e-6 * level)
            for m in range(len(change))
        ]
    )
    return inverse / inverse.sum(0)


# ---------------------------------------------------------------- STARFM


def starfm(
    fine, coarse, asked, known, *, spread, level, radius, classes=4.0, uncertainty=0.02, floor=5e-4,
    decay=None, logarithmic=False, pixels=None,
):  # fmt: skip
    """(band, row, col) of the asked date, candidates of all bases pooled."""
    shape, decay = fine.shape[2:], radius if decay is None else decay
    out = np.full(fine.shape[1:], np.nan)
    maps = fine, np.abs(fine - coarse), np.abs(asked - coarse), fine + asked - coarse
    for row, col in np.ndindex(shape) if pixels is None else pixels:
        window = window_of(row, col, shape, radius)
        near = 1.0 + distances(row, col, window) / decay
        out[:, row, col] = _adaptive_pixel(
            *(image[(..., *window)] for image in maps), known[(..., *window)], near,
            *(image[..., row, col] for image in maps), known[:, row, col],
            spread, level, classes, uncertainty, floor, logarithmic,
        )  # fmt: skip
    return out


def _adaptive_pixel(
    fine, unlike, moved, values, known, near, own, here, then, copy, trust,
    spread, level, classes, uncertainty, floor, logarithmic,
):  # fmt: skip
    bases, out = np.flatnonzero(trusted(trust)), []
    allowed, grain = np.sqrt(2.0) * uncertainty * level, floor * level
    alike = (np.abs(fine - own[..., None, None]) < 2.0 * spread[..., None, None] / classes).all(1) & known
    for b in range(fine.shape[1]):
        exact = [m for m in bases if min(here[m, b], then[m, b]) <= 1e-6 * level]
        costs, found = [], []
        for m in bases:
            told = (unlike[m, b] < here[m, b] + allowed) & (moved[m, b] < then[m, b] + allowed)
            chosen = alike[m] & told
            s, t = unlike[m, b][chosen], moved[m, b][chosen]
            if logarithmic:
                costs.append(np.log(s / grain + 2.0) * np.log(t / grain + 2.0) * near[chosen])
            else:
                costs.append((s + grain) * (t + grain) * near[chosen])
            found.append(values[m, b][chosen])
        weights, found = 1.0 / np.concatenate(costs), np.concatenate(found)
        if exact or not len(found):
            out.append(np.mean([copy[m, b] for m in exact or bases]))
        else:
            out.append((weights * found).sum() / weights.sum())
    return out
