"""The variables that each preset's backbone and decoder have, and the check that a checkpoint has the same.

`networks.json` holds their shapes, since building a model takes TensorFlow and ten seconds; `make networks` writes it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from slipway.errors import InputError, SpecError
from slipway.models import ArtifactModel
from slipway.run.presets import Preset
from slipway.weights.checkpoint.object_graph import Shapes

MODULES = ("backbone", "decoder")  # of a model, besides its head; the names that Model Garden restores by
_NETWORK_FIELDS = ("backbone", "decoder", "min_level", "max_level")  # of the model's configuration
_MOST_EXAMPLES = 3


class Network(ArtifactModel):
    """One preset's shapes: of the variables of its backbone and its decoder.

    Attributes:
      model: The part of the preset's configuration on which they depend.
    """

    experiment: str
    model: Mapping[str, Any]
    modules: Mapping[str, Mapping[str, int]]


class Networks(ArtifactModel):
    """The content of `networks.json`.

    Attributes:
      presets: Name of a preset to its shapes.
      packaged: Name of a package's weights to the shapes of their modules.
    """

    presets: Mapping[str, Network]
    packaged: Mapping[str, Mapping[str, Mapping[str, int]]]


def network_fields(preset: Preset) -> dict[str, Any]:
    """Return the part of a preset's configuration that decides which variables its model has."""
    model = preset.overrides.get("task", {}).get("model", {})
    return {name: model[name] for name in _NETWORK_FIELDS if name in model}


def network_of(preset: Preset) -> Network | None:
    """Return the shapes of a preset's model; None if its configuration is not one that they were written for."""
    wanted = preset.experiment, network_fields(preset)
    networks = _networks().presets.values()
    return next((network for network in networks if (network.experiment, network.model) == wanted), None)


def packaged_modules(name: str) -> Mapping[str, Shapes]:
    """Return the variables of a package's weights, by module: the package is in the TensorFlow environment only."""
    return _networks().packaged[name]


def modules_of(preset: Preset) -> tuple[str, ...]:
    """Return the modules that a preset takes from an initial checkpoint.

    Raises:
      SpecError: One is unknown. Model Garden would silently restore nothing for it.
    """
    modules = preset.restored_modules
    unknown_names = [name for name in modules if name not in (*MODULES, "all")]
    if unknown_names or not modules:
        raise SpecError(
            f"preset {preset.name}: init_checkpoint_modules is {', '.join(modules) or 'empty'}; give 'all', or a list "
            "of 'backbone' and 'decoder'"
        )
    return (*MODULES, "head") if "all" in modules else modules


def check_modules(content: Mapping[str, Shapes], modules: Iterable[str], preset: Preset) -> None:
    """Check that a checkpoint has the modules that a preset takes, with the variables of the preset's model.

    The shapes of a model that was changed from its preset's are not known here: the trainer compares them before its
    first step. So it does with those of the head, which depend on the number of classes.

    Raises:
      InputError: A module is missing, or belongs to another network.
    """
    network = network_of(preset)
    for module in modules:
        expected_shapes = network.modules.get(module) if network else None
        if expected_shapes == {}:  # such as a decoder that only passes on the backbone's features
            continue
        if not content.get(module):
            modules_found = sorted(name for name, shapes in content.items() if shapes)
            raise InputError(f"it holds {modules_found}, expected {module}, which preset {preset.name} takes from it")
        if expected_shapes is not None and content[module] != expected_shapes:
            difference = _difference(content[module], expected_shapes)
            raise InputError(f"its {module} is not that of preset {preset.name}: {difference}")


def _difference(shapes: Shapes, expected: Shapes) -> str:
    """Return how many variables two networks have, with examples of those that only one has."""
    extra, absent = Counter(shapes) - Counter(expected), Counter(expected) - Counter(shapes)
    parts = [f"{sum(shapes.values())} variables, expected {sum(expected.values())}"]
    for name, counts in (("not expected", extra), ("missing", absent)):
        if counts:
            examples = ", ".join(shape for shape, _ in counts.most_common(_MOST_EXAMPLES))
            parts.append(f"{sum(counts.values())} {name}, such as {examples}")
    return "; ".join(parts)


@cache
def _networks() -> Networks:
    text = (resources.files("slipway.weights") / "networks.json").read_text()
    return Networks.model_validate_json(text)
