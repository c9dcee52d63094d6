"""The command `slipway sweep` with its options."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def sweep(  # noqa: PLR0913, PLR0917 (a command's parameters are its options)
    folder: Annotated[Path | None, typer.Argument(help="Annotated images, as for `slipway run`.")] = None,
    file: Annotated[Path | None, typer.Option("-f", "--file", help="A TrainingRun, with what all runs share.")] = None,
    tries: Annotated[
        list[str] | None, typer.Option("--try", metavar="KEY=VALUE,…", help="An option of run, and values to try.")
    ] = None,
    runs: Annotated[int | None, typer.Option(min=1, help="Try so many combinations, chosen at random.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each combination, each with another seed.")] = 1,
    submit: Annotated[bool, typer.Option("--submit", help="Train in an installation; needs -f.")] = False,
    parallel: Annotated[int, typer.Option(min=1, help="Runs at a time in the installation.")] = 2,
    prune: Annotated[bool, typer.Option(help="Stop runs early whose AP is clearly below the others'.")] = True,
    out: Annotated[Path, typer.Option(help="Folder for all outputs; must not be inside FOLDER.")] = Path("slipway-out"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line on stdout.")] = False,
) -> None:
    """Train runs that differ in a few values, and choose the best on val; the same command again continues."""
    from services.cli.local.run_request import RunRequest
    from services.cli.sweep import cluster_sweep, local_sweep
    from services.cli.sweep.trials import SweepRequest

    request = SweepRequest(RunRequest(folder, {}, file=file), tries or [], runs, seeds, out, prune, as_json)
    raise typer.Exit(cluster_sweep.sweep(request, parallel) if submit else local_sweep.sweep(request))
