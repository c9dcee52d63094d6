"""`slipway`: its local commands with their options, and the exit code of every error.

Each command imports its module when it is called, so that `slipway --help` answers at once. The commands that talk to
an installation are in `remote/options.py`.
"""

import sys
from collections.abc import Callable, Sequence
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.errors import EXIT_INPUT, EXIT_RETRY, SlipwayError

from services.cli.remote import options as remote
from services.cli.sweep import options as sweep_options

app = typer.Typer(
    help="Turn a folder of annotated images into a trained, measured, exported object detector.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_FOLDER_HELP = "Annotated images in a folder, zip or tar: labelImg's XML, COCO, YOLO, CVAT or others."
_THRESHOLD_HELP = "Detections below it are left out; by default, each class has its measured threshold."
_Folder = Annotated[Path, typer.Argument(help=_FOLDER_HELP)]
_Out = Annotated[Path, typer.Option(help="Folder for all outputs; must not be inside FOLDER.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line on stdout, for scripts.")]
_Seed = Annotated[int | None, typer.Option(help="Seed of the split, the initial weights and the augmentation.")]
_LabelMap = Annotated[str | None, typer.Option(help="A label_map.pbtxt; labels that it lacks are reported.")]
_Format = Annotated[str | None, typer.Option(help="Format of the annotations, where the folder has several.")]
_LearningCurve = Annotated[
    bool, typer.Option("--learning-curve", help="Also train on 25 and 50 % of the images: would more of them help?")
]
_Invalid = Annotated[str | None, typer.Option(help="fail: stop at unusable images and boxes. drop: leave them out.")]


# Each sets a field of `train`; None where it is not given.
_TRAIN_OPTIONS = {
    "steps": Annotated[int | None, typer.Option(help="Training steps.")],
    "batch_size": Annotated[int | None, typer.Option(help="Images per step.")],
    "image_size": Annotated[int | None, typer.Option(help="Side of the model's square input, a multiple of 32.")],
    "learning_rate": Annotated[float | None, typer.Option(help="Peak learning rate, after warm-up.")],
    "initial_checkpoint": Annotated[
        str | None, typer.Option(help="scratch, imagenet-efficientnet-lite0, a folder, s3://, https:// or run:NAME.")
    ],
    "class_repeats": Annotated[
        bool | None, typer.Option("--class-repeats/--no-class-repeats", help="Show images of rare classes more often.")
    ],
    "checkpoint_every": Annotated[int | None, typer.Option(help="Steps between evaluated checkpoints.")],
    "patience": Annotated[int | None, typer.Option(help="Stop after so many evaluations without a better AP.")],
    "time_limit": Annotated[int | None, typer.Option(help="Seconds after which the training ends.")],
    "gpus": Annotated[int | None, typer.Option(help="GPUs to train on.")],
}


def _add_train_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command with `**train_options` the signature that Typer reads its options from: these after `preset`."""
    parameters = [one for one in signature(command).parameters.values() if one.kind is not Parameter.VAR_KEYWORD]
    kind, position = Parameter.POSITIONAL_OR_KEYWORD, [one.name for one in parameters].index("preset") + 1
    options = [Parameter(name, kind, default=None, annotation=option) for name, option in _TRAIN_OPTIONS.items()]
    vars(command)["__signature__"] = Signature([*parameters[:position], *options, *parameters[position:]])
    return command


@app.command()
@_add_train_options
def run(  # noqa: PLR0913, PLR0917 (a command's parameters are its options)
    folder: Annotated[Path | None, typer.Argument(help=_FOLDER_HELP)] = None,
    file: Annotated[Path | None, typer.Option("-f", "--file", help="A TrainingRun; other options override it.")] = None,
    preset: remote.Preset = None,
    test_ratio: remote.TestRatio = None,
    val_ratio: remote.ValRatio = None,
    train_share: Annotated[float | None, typer.Option(help="Share of the train split to train on.")] = None,
    seed: _Seed = None,
    label_map: _LabelMap = None,
    format: _Format = None,
    invalid: _Invalid = None,
    augment: remote.Augment = None,
    set: remote.Set = None,
    workers: Annotated[int | None, typer.Option(help="Processes that write TFRecords.")] = None,
    until: Annotated[str | None, typer.Option(help="Last stage: ingest, preprocess, train, export or detect.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; by default made from its content.")] = None,
    learning_curve: _LearningCurve = False,
    out: _Out = Path("slipway-out"),
    as_json: _Json = False,
    **train_options: Any,
) -> None:
    """Ingest, preprocess, train, evaluate, export, detect; the same command again continues where it stopped."""
    raise typer.Exit(_run_with_options({**locals(), **train_options}))


def _run_with_options(options: dict[str, Any]) -> int:
    from services.cli.commands import run as command

    return command.run_with_options(options)


@app.command()
def check(  # noqa: PLR0913, PLR0917 (a command's parameters are its options)
    folder: _Folder,
    test_ratio: remote.TestRatio = None,
    val_ratio: remote.ValRatio = None,
    seed: _Seed = None,
    label_map: _LabelMap = None,
    format: _Format = None,
    invalid: _Invalid = None,
    out: _Out = Path("slipway-out"),
    as_json: _Json = False,
) -> None:
    """Read images and annotations, and report every one that is wrong."""
    from services.cli.commands import check as command
    from services.cli.local.run_request import RunRequest

    options = {"test_ratio": test_ratio, "val_ratio": val_ratio, "seed": seed, "label_map": label_map}
    options |= {"format": format, "invalid": invalid}
    raise typer.Exit(command.check(RunRequest(folder, options), out, as_json))


@app.command()
def partition(  # noqa: PLR0913, PLR0917 (a command's parameters are its options)
    folder: _Folder,
    out: Annotated[Path, typer.Argument(help="Folder for train/ and test/; must be new or empty.")],
    ratio: Annotated[float | None, typer.Option("-r", "--ratio", help="Share of the images for test.")] = None,
    xml: Annotated[bool, typer.Option("-x", "--xml", help="Also write a Pascal VOC file for each image.")] = False,
    seed: _Seed = None,
    format: _Format = None,
    invalid: _Invalid = None,
    as_json: _Json = False,
) -> None:
    """Write images into folders train/ and test/, with the split that run would choose."""
    from services.cli.local.run_request import RunRequest
    from services.cli.partition.command import PartitionRequest
    from services.cli.partition.command import partition as command

    options = {"test_ratio": ratio, "seed": seed, "format": format, "invalid": invalid, "until": "ingest"}
    raise typer.Exit(command(PartitionRequest(RunRequest(folder, options), out, xml), as_json))


@app.command()
def detect(
    model: Annotated[Path, typer.Argument(help="An export folder, or the folder or name of a run.")],
    images: Annotated[Path, typer.Argument(help="A folder of images, or one image.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures and detections.json.")] = Path("detections"),
    score_threshold: Annotated[float | None, typer.Option(min=0, max=1, help=_THRESHOLD_HELP)] = None,
    as_json: _Json = False,
) -> None:
    """Find objects in images with an exported model, and draw them."""
    from services.cli.commands import detect as command

    request = command.DetectRequest(model, images, out, score_threshold)
    raise typer.Exit(command.detect(request, as_json))


@app.command()
def presets(as_json: _Json = False) -> None:
    """List the presets: purpose, image size, batch size, and the number of GPUs that each is meant for."""
    from services.cli.commands import presets as command

    raise typer.Exit(command.presets(as_json))


@app.command()
def gc(  # noqa: PLR0913, PLR0917 (a command's parameters are its options)
    store: Annotated[
        str, typer.Option(envvar="SLIPWAY_STORE", help="A folder, or s3://bucket/prefix.")
    ] = "slipway-out",
    runs: Annotated[str, typer.Option(help="Age at which ended runs are removed: 90d, 12h, never.")] = "never",
    datasets: Annotated[str, typer.Option(help="Age at which datasets without a run are removed.")] = "never",
    records: Annotated[str, typer.Option(help="Age at which records are removed; runs write them again.")] = "30d",
    uploads: Annotated[str, typer.Option(help="Age at which uploads are removed, complete or not.")] = "7d",
    weights: Annotated[str, typer.Option(help="Age at which weights that runs fetched are removed.")] = "never",
    keep: Annotated[list[str] | None, typer.Option(help="A run to keep; may be given several times.")] = None,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Also remove old runs that never ended.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be removed; remove nothing.")] = False,
    as_json: _Json = False,
) -> None:
    """Remove old runs, datasets, records and uploads from a store."""
    from slipway.retention.policy import Limits, parse_age

    from services.cli.commands import gc as command

    limits = Limits(
        runs=parse_age(runs),
        datasets=parse_age(datasets),
        records=parse_age(records),
        uploads=parse_age(uploads),
        weights=parse_age(weights),
        keep=frozenset(keep or ()),
        unfinished=unfinished,
    )
    raise typer.Exit(command.gc(store, limits, dry_run, as_json))


@app.command()
def tensorboard(
    run: Annotated[str | None, typer.Argument(metavar="[RUN|FOLDER]", help="By default all runs in --out.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port, open on this machine only.")] = 6006,
    out: Annotated[Path, typer.Option(help="Folder of the runs, also of fetched ones.")] = Path("slipway-out"),
) -> None:
    """Show curves in TensorBoard; the curves of an installation's run are fetched first."""
    from services.cli.commands import tensorboard as command

    raise typer.Exit(command.tensorboard(run, out, port))


app.add_typer(sweep_options.app)
app.add_typer(remote.app)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(version("slipway"))
        except PackageNotFoundError:
            print("not installed: a checkout on PYTHONPATH")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its code; an error that the user can correct is printed without a traceback."""
    try:
        app(args=list(arguments) if arguments is not None else None, prog_name="slipway")
    except SlipwayError as error:
        print(f"slipway: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from error
    except OSError as error:
        print(f"slipway: {error.filename or 'this machine'}: {error.strerror}; mend it and try again", file=sys.stderr)
        raise SystemExit(EXIT_INPUT if isinstance(error, PermissionError) else EXIT_RETRY) from error
