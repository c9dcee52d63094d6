"""Write the shapes of each preset's variables: `python tests/networks.py`, or `make networks`.

Builds the models of all presets, and the networks of packages' weights, with TensorFlow, which takes a minute.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from slipway.run.packaged_weights import PACKAGED_WEIGHTS
from slipway.run.plan import Plan
from slipway.run.presets import load_preset, preset_names
from slipway.weights.checkpoint.object_graph import shape_text
from slipway.weights.networks import MODULES, network_fields
from tests.fakes.plans import small_plan

from services.trainer.pipeline_config import pipeline_config
from services.trainer.pretrained.efficientnet_lite0 import build_backbone

FILE = Path(__file__).parents[1] / "shared/slipway/weights/networks.json"


def build_model(preset: str) -> Any:
    """Build the model of a preset, for three classes and small images."""
    from official.core import task_factory

    side = 2 * load_preset(preset).coarsest_stride
    plan: Plan = small_plan(preset=preset, image_size=max(side, 128))
    return task_factory.get_task(pipeline_config(plan, 3, 8, None).task).build_model()


def shapes(module: Any) -> dict[str, int]:
    """Count the shapes of a module's variables."""
    counts = Counter(shape_text(tuple(variable.shape)) for variable in module.variables)
    return dict(sorted(counts.items()))


def networks() -> dict[str, Any]:
    """Return the content of the file."""
    presets = {}
    for name in preset_names():
        preset, modules = load_preset(name), build_model(name).checkpoint_items
        presets[name] = {
            "experiment": preset.experiment,
            "model": network_fields(preset),
            "modules": {module: shapes(modules[module]) if module in modules else {} for module in MODULES},
        }
    return {"presets": presets, "packaged": {name: {"backbone": shapes(build_backbone())} for name in PACKAGED_WEIGHTS}}


def text(content: dict[str, Any]) -> str:
    """Return the JSON with one module to a line."""
    lines = []
    for section, entries in content.items():
        rows = [f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items()]
        lines.append(f"{json.dumps(section)}: {{\n" + ",\n".join(rows) + "\n}")
    return "{" + ",\n".join(lines) + "}\n"


if __name__ == "__main__":
    FILE.write_text(text(networks()))
