"""`bench engine` on the command line: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stsfusion.cli.terminal import aside, listed, plainly, show

__all__ = ["bench_engine"]


def bench_engine(
    size: Annotated[int, typer.Option(help="Side of the scene, pixels: a multiple of 384.")] = 1152,
    only: Annotated[
        str | None, typer.Option(help="Figures wanted, as memory_growth,read_amplification; none: all.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of which the median is told.")] = 5,
    device: Annotated[
        str, typer.Option(help="torch device for gpu_busy; auto: cuda when there is one.")
    ] = "auto",
    folder: Annotated[
        Path | None, typer.Option(help="Where the scene is written meanwhile; none: a temporary folder.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures and what is behind them here.")
    ] = None,
) -> None:
    """How near the engine runs to what its model, reading and writing take: ratios, on a made-up scene.

    Needs an idle machine: whatever else runs makes every ratio worse. The made-up scene is removed in the
    end; only --json writes a file. Exit codes: 0 measured; 2 wrong settings.

    [bold]Examples[/bold]

      stsfusion bench engine --json engine.json
      stsfusion bench engine --size 384 --only read_amplification,scheduler_share
    """
    import torch

    from stsfusion.pipeline import enginebench
    from stsfusion.running.progress import progress

    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    with plainly():
        figures = tuple(listed(only)) if only else enginebench.FIGURES
        how = enginebench.EngineBench(size=size, repeats=repeats, figures=figures, device=chosen)
        with progress("Measuring the engine", console=aside(json_file is not None)) as bar:
            result = enginebench.bench_engine(how, folder, bar.at, json_file)
    show("", ("figure", "value", "aim"), enginebench.rows(result))
    load = result["machine"]["load_before"]
    if load > 0.5:
        print(f"The machine was not idle (load {load:.1f} before): ratios are worse than they are.")
