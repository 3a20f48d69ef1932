"""Parts: a problem fused piece by piece, each with its own context, as if it had been fused whole."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from stsfusion.errors import MethodError
from stsfusion.fusion.answer import Answer, Factored
from stsfusion.fusion.method import FusionMethod, Geometry
from stsfusion.fusion.problem import Problem
from stsfusion.running.tiling import Tile, tiles

__all__ = ["in_parts"]


@dataclass
class _Canvas:
    """Maps of the whole, into which parts are put; on the CPU, since the device has too little memory."""

    rows: int
    cols: int
    maps: dict[str, Tensor] = field(default_factory=dict)

    def put(self, name: str, part: Tensor, tile: Tile, ratio: int = 1) -> None:
        """The core of a part's map (·, ·, y/r, x/r) in its place."""
        shape = (*part.shape[:2], self.rows // ratio, self.cols // ratio)
        whole = self.maps.setdefault(name, torch.empty(shape, dtype=part.dtype))
        (_, _, *there), (_, _, *here) = (w.coarsen(ratio).slices for w in (tile.core, tile.interior))
        whole[:, :, there[0], there[1]] = part[:, :, here[0], here[1]].cpu()


def in_parts(method: FusionMethod, problem: Problem, geometry: Geometry, side: int) -> Answer:
    """What `method.fuse(problem)` gives, within the method's seam, in pieces of `side` target pixels.

    Raises
    ------
    MethodError
        When the pieces are factored by different bases.
    """
    time, _, rows, cols = problem.target.shape
    halo, multiple = method.halo(geometry), geometry.multiple
    canvas, values = _Canvas(rows, cols), None
    for tile in tiles(time, rows, cols, tile=side, shard=side, halo=halo, multiple=multiple):
        answer = method.fuse(problem.crop(tile.padded))
        canvas.put("quality", answer.quality, tile)
        if (sigma := answer.sigma) is not None:
            canvas.put("sigma", sigma.expand(-1, -1, *answer.shape[2:]), tile)
        values = _put_values(canvas, answer.values, tile, values, method.card.name)
    assert values is not None
    return Answer(_whole(canvas, values), canvas.maps["quality"], canvas.maps.get("sigma"))


def _put_values(
    canvas: _Canvas, values: Tensor | Factored, tile: Tile, first: Tensor | Factored | None, name: str
) -> Tensor | Factored:
    """Put one part's values; what all parts share is the first one's."""
    if not isinstance(values, Factored):
        canvas.put("values", values, tile)
        return values
    if isinstance(first, Factored) and not (
        torch.equal(values.basis, first.basis) and torch.equal(values.mean, first.mean)
    ):
        raise MethodError(
            f"method '{name}', in parts", expected="one basis in all of a scene", got="another in every part"
        )
    canvas.put("coefficients", values.coefficients, tile)
    if values.residual is not None:
        ratio = values.coefficients.shape[2] // values.residual.shape[2]
        canvas.put("residual", values.residual, tile, ratio)
    return values if first is None else first


def _whole(canvas: _Canvas, values: Tensor | Factored) -> Tensor | Factored:
    if not isinstance(values, Factored):
        return canvas.maps["values"]
    maps = canvas.maps
    return Factored(maps["coefficients"], values.basis.cpu(), values.mean.cpu(), maps.get("residual"))
