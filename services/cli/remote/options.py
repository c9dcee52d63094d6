"""The commands that talk to an installation, with their options; each imports its module when it is called."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
dataset = typer.Typer(help="Datasets of an installation.", no_args_is_help=True)
app.add_typer(dataset, name="dataset")
weights = typer.Typer(help="Initial checkpoints of an installation.", no_args_is_help=True)
app.add_typer(weights, name="weights")

_Run = Annotated[str, typer.Argument(metavar="RUN", help="Name of the run; `slipway status` lists them.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line on stdout, for scripts.")]
TestRatio = Annotated[float | None, typer.Option(help="Share of images for the test split.")]
ValRatio = Annotated[float | None, typer.Option(help="Share for the val split, which then chooses the checkpoint.")]
Preset = Annotated[
    str | None,
    typer.Option(help="See `slipway presets`, or a .yaml file of your own; by default chosen from the data."),
]
Set = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="A field of Model Garden's configuration; may be given several times."),
]
_AUGMENT_HELP = "flip=false, scale=0.7,1.5, crop=true, colour=0.5 or mosaic=0.5; may be given several times."
Augment = Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help=_AUGMENT_HELP)]
_Watch = Annotated[bool, typer.Option("--watch", help="Follow the run to its end, and exit with its code.")]


@app.command()
def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the API: https://host.")],
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read the token from stdin.")] = False,
    ca_file: Annotated[
        Path | None, typer.Option(help="PEM file of certificates to trust, not the public ones.")
    ] = None,
    insecure_http: Annotated[bool, typer.Option("--insecure-http", help="Allow http, unencrypted.")] = False,
) -> None:
    """Try a token, and store it for the commands that talk to an installation."""
    from services.cli.commands import login as command

    raise typer.Exit(command.login(command.LoginRequest(url, token_stdin, ca_file, insecure_http)))


@dataset.command()
def push(
    folder: Annotated[Path, typer.Argument(help="Annotated images: XML files of labelImg beside or near them.")],
    name: Annotated[str | None, typer.Option(help="Name of the dataset; by default the folder's.")] = None,
    test_ratio: TestRatio = None,
    val_ratio: ValRatio = None,
    as_json: _Json = False,
) -> None:
    """Send a folder, have it ingested, and print its report and its name; the same command again continues."""
    from services.cli.commands import dataset_push as command

    raise typer.Exit(command.push(command.PushRequest(folder, name, test_ratio, val_ratio), as_json))


_WeightsStore = Annotated[
    str | None, typer.Option("--store", help="A folder or s3://bucket/prefix, not the installation of the login.")
]


@weights.command("push")
def push_weights(
    source: Annotated[str, typer.Argument(help="A checkpoint, a folder with one, a .tar.gz, or its https address.")],
    name: Annotated[str | None, typer.Option(help="Name for initialCheckpoint; by default made from SOURCE.")] = None,
    address: Annotated[str | None, typer.Option(help="An https address that is to mean it, too.")] = None,
    store: _WeightsStore = None,
    as_json: _Json = False,
) -> None:
    """Send an initial checkpoint, for runs that cannot or should not fetch it themselves."""
    from services.cli.commands import weights as command

    raise typer.Exit(command.push(command.PushRequest(source, name, address, store), as_json))


@weights.command("list")
def list_weights(store: _WeightsStore = None, as_json: _Json = False) -> None:
    """List the initial checkpoints that have a name or an address."""
    from services.cli.commands import weights as command

    raise typer.Exit(command.list_weights(store, as_json))


@app.command()
def submit(  # noqa: PLR0913, PLR0917 (a command's parameters are its options)
    file: Annotated[Path, typer.Argument(metavar="RUN.YAML", help="A TrainingRun, as for kubectl.")],
    name: Annotated[str | None, typer.Option(help="Name of the run; by default the file's.")] = None,
    preset: Preset = None,
    augment: Augment = None,
    set: Set = None,
    idempotency_key: Annotated[str | None, typer.Option(help="By default made from user and content.")] = None,
    watch: _Watch = False,
    as_json: _Json = False,
) -> None:
    """Submit a run to an installation."""
    from services.cli.commands import submit as command

    request = command.SubmitRequest(file, name, idempotency_key, preset, tuple(augment or ()), tuple(set or ()))
    raise typer.Exit(command.submit(request, watch, as_json))


@app.command()
def status(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="One run; by default all.")] = None,
    watch: _Watch = False,
    limit: Annotated[int, typer.Option(min=1, help="Number of runs, the newest first.")] = 20,
    as_json: _Json = False,
) -> None:
    """List an installation's runs, or show the status of one."""
    from services.cli.commands import status as command

    if run is None:
        raise typer.Exit(command.list_runs(limit, watch, as_json))
    raise typer.Exit(command.show_run(run, watch, as_json))


@app.command()
def logs(
    run: _Run,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Also print new lines, until the run ends.")] = False,
    stage: Annotated[str | None, typer.Option(help="Only this stage: ingest, preprocess, train, …")] = None,
) -> None:
    """Print the logs of a run's stages."""
    from services.cli.commands import logs as command

    raise typer.Exit(command.logs(run, stage, follow))


@app.command()
def cancel(run: _Run, as_json: _Json = False) -> None:
    """Cancel a run."""
    _act(run, "cancel", as_json)


@app.command()
def suspend(run: _Run, as_json: _Json = False) -> None:
    """Stop a run's processes, and keep their results."""
    _act(run, "suspend", as_json)


@app.command()
def resume(run: _Run, as_json: _Json = False) -> None:
    """Resume a suspended run."""
    _act(run, "resume", as_json)


@app.command()
def retry(run: _Run, as_json: _Json = False) -> None:
    """Start a failed run again at the stage that failed."""
    _act(run, "retry", as_json)


@app.command()
def artifacts(
    run: _Run,
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATH]...", help="Artifacts, or their folders.")] = None,
    out: Annotated[Path | None, typer.Option(help="Fetch them into this folder; by default list them.")] = None,
    as_json: _Json = False,
) -> None:
    """List a run's artifacts, or fetch them; the same command again continues."""
    from services.cli.commands import artifacts as command

    raise typer.Exit(command.artifacts(run, out, paths or [], as_json))


def _act(run: str, verb: str, as_json: bool) -> None:
    from services.cli.commands import run_actions as command

    raise typer.Exit(command.act(run, verb, as_json))
