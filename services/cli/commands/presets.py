"""`slipway presets`: the presets that `--preset` may name."""

from slipway.errors import EXIT_DONE
from slipway.run.presets import load_preset, preset_names

from services.cli.screen.console import print_json


def presets(as_json: bool) -> int:
    """Print the presets, and return the exit code."""
    rows = [load_preset(name) for name in preset_names()]
    fields = ("name", "summary", "image_size", "batch_size", "gpus", "experimental")
    if as_json:
        print_json({"presets": [{field: getattr(row, field) for field in fields} for row in rows]})
        return EXIT_DONE
    width = max(len(row.name) for row in rows)
    print(f"{'preset':<{width}}  image  batch  GPUs  what for")
    for row in rows:
        purpose = f"experimental: {row.summary}" if row.experimental else row.summary
        print(f"{row.name:<{width}}  {row.image_size:>5}  {row.batch_size:>5}  {row.gpus:>4}  {purpose}")
    return EXIT_DONE
