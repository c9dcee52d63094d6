"""The commands that talk to an installation, with their options; each imports its module when it is called."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
dataset = typer.Typer(help="Datasets of an installation.", no_args_is_help=True)
app.add_typer(dataset, name="dataset")

_Run = Annotated[str, typer.Argument(metavar="RUN", help="Its name; `slipway status` lists them.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout, for machines.")]
_Watch = Annotated[bool, typer.Option("--watch", help="Follow the run to its end, and leave with its exit code.")]


@app.command()
def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where the API is: https://host.")],
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read the token from stdin.")] = False,
    ca_file: Annotated[Path | None, typer.Option(help="Certificates to trust instead of the public ones, PEM.")] = None,
    insecure_http: Annotated[bool, typer.Option("--insecure-http", help="Allow http, unencrypted.")] = False,
) -> None:
    """Try a token, and keep it for the commands that talk to an installation."""
    from services.cli.commands import login as command

    raise typer.Exit(command.login(command.LoginRequest(url, token_stdin, ca_file, insecure_http)))


@dataset.command()
def push(
    folder: Annotated[Path, typer.Argument(help="Annotated images: XML files of labelImg beside or near them.")],
    name: Annotated[str | None, typer.Option(help="The dataset's; the folder's unless given.")] = None,
    as_json: _Json = False,
) -> None:
    """Send a folder, have it checked, and print its report and its name; sent again, it carries on."""
    from services.cli.commands import dataset_push as command

    raise typer.Exit(command.push(folder, name, as_json))


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(metavar="RUN.YAML", help="A TrainingRun, as for kubectl.")],
    name: Annotated[str | None, typer.Option(help="The run's; the file's unless given.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Same key, same run; made from user and content.")] = None,
    watch: _Watch = False,
    as_json: _Json = False,
) -> None:
    """Ask an installation for a run."""
    from services.cli.commands import submit as command

    raise typer.Exit(command.submit(command.SubmitRequest(file, name, idempotency_key), watch, as_json))


@app.command()
def status(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="One run; all unless given.")] = None,
    watch: _Watch = False,
    limit: Annotated[int, typer.Option(min=1, help="Number of runs, the newest first.")] = 20,
    as_json: _Json = False,
) -> None:
    """List an installation's runs, or show how one stands."""
    from services.cli.commands import status as command

    if run is None:
        raise typer.Exit(command.list_runs(limit, watch, as_json))
    raise typer.Exit(command.show_run(run, watch, as_json))


@app.command()
def logs(
    run: _Run,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Also new lines as they come, until the run ends.")
    ] = False,
    stage: Annotated[str | None, typer.Option(help="One stage's only: ingest, preprocess, train, …")] = None,
) -> None:
    """Print what a run's stages logged."""
    from services.cli.commands import logs as command

    raise typer.Exit(command.logs(run, stage, follow))


@app.command()
def cancel(run: _Run, as_json: _Json = False) -> None:
    """End a run."""
    _act(run, "cancel", as_json)


@app.command()
def suspend(run: _Run, as_json: _Json = False) -> None:
    """End a run's processes, and keep what they did."""
    _act(run, "suspend", as_json)


@app.command()
def resume(run: _Run, as_json: _Json = False) -> None:
    """Let a suspended run go on."""
    _act(run, "resume", as_json)


@app.command()
def retry(run: _Run, as_json: _Json = False) -> None:
    """Start a failed run again, at the stage that failed."""
    _act(run, "retry", as_json)


@app.command()
def artifacts(
    run: _Run,
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATH]...", help="Artifacts, or their folders.")] = None,
    out: Annotated[Path | None, typer.Option(help="Fetch them into this folder; list them unless given.")] = None,
    as_json: _Json = False,
) -> None:
    """List what a run has made, or fetch it; fetched again, it carries on."""
    from services.cli.commands import artifacts as command

    raise typer.Exit(command.artifacts(run, out, paths or [], as_json))


def _act(run: str, verb: str, as_json: bool) -> None:
    from services.cli.commands import run_actions as command

    raise typer.Exit(command.act(run, verb, as_json))
