"""The pipeline config that a source holds where the tutorial puts it, as plain values."""

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slipway.dataset.labels import LabelMap, decode_label_map
from slipway.dataset.source_folder import read_file, source_files
from slipway.errors import InputError
from slipway.store.interface import ObjectStore

from services.ingest.pipeline_config.messages import parse_pipeline, present_fields

# training/ is the first edition's, models/<model>/ the TF2 edition's; nobody edits one beside downloaded checkpoints.
_FILE = re.compile(r"(?:.*/)?(?:training/[^/]+\.config|models/[^/]+/pipeline\.config)")
_MOST_BYTES = 1_000_000  # a config has a few thousand


@dataclass(frozen=True)
class SourceConfig:
    """A pipeline config.

    Attributes:
      file: Its key in the source.
      pipeline: A message `Pipeline`; None if it cannot be read.
      label_map: The label map that it names, if the source has a file of that name.
      label_map_file: The key of that file.
      fault: The reason why it cannot be read.
    """

    file: str
    pipeline: Any = None
    label_map: LabelMap | None = None
    label_map_file: str = ""
    fault: str = ""

    @property
    def num_steps(self) -> int:
        """Length of the training in steps; 0 when it is not given or endless."""
        return int(self.pipeline.train_config.num_steps) if self.pipeline is not None else 0


def read_source_config(source: ObjectStore) -> SourceConfig | None:
    """Read the pipeline config of a source; None if there is none. Of several, none is read."""
    files = source_files(source)
    configs = [key for key in files if _FILE.fullmatch(key)]
    if not configs:
        return None
    if len(configs) > 1:
        others = ", ".join(configs[1:])
        return SourceConfig(configs[0], fault=f"is not the only pipeline config ({others}): none was read; leave one")
    stat = source.stat(configs[0])
    if stat is None or stat.size > _MOST_BYTES:
        return SourceConfig(configs[0], fault=f"was not read: it has more than {_MOST_BYTES:,} bytes")
    try:
        pipeline = parse_pipeline(read_file(source, configs[0]), configs[0])
    except InputError as error:
        return SourceConfig(configs[0], fault=str(error).removeprefix(f"{configs[0]}: "))
    return SourceConfig(configs[0], pipeline, *_read_label_map(pipeline, files, source))


def label_map_paths(pipeline: Any) -> list[str]:
    """Return the paths of label maps that the readers of a pipeline name, each once."""
    readers = (*pipeline.train_input_reader, *pipeline.eval_input_reader)
    return list(
        dict.fromkeys(reader.label_map_path for reader in readers if "label_map_path" in present_fields(reader))
    )


def _read_label_map(pipeline: Any, files: Sequence[str], source: ObjectStore) -> tuple[LabelMap | None, str]:
    """Read the label map that the config names by a path on the machine where it was written."""
    names = {posixpath.basename(path.replace("\\", "/")) for path in label_map_paths(pipeline)}
    for key in (key for key in files if posixpath.basename(key) in names):
        try:
            return LabelMap.parse(decode_label_map(read_file(source, key), key), key), key
        except InputError:  # a finding of the dataset says so
            continue
    return None, ""
