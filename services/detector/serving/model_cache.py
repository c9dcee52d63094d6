"""A cache of loaded models, and the loading of some at the start."""

import asyncio
import gc
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from slipway.errors import MissingKey, SlipwayError, TransientError
from slipway.events import event

from services.detector.serving.metrics import Metrics
from services.detector.serving.model_loader import Export, Model

_FRESH_SEC = 60.0  # after that, a run that was deleted and made again under the same name is noticed
_RETRY_SEC = 10.0


@dataclass
class CacheEntry:
    """One model.

    Attributes:
      checked_at: `time.monotonic()` when the export was last looked up in the store.
      model: Done once the model is loaded.
    """

    export: Export
    checked_at: float
    model: asyncio.Future[Model]

    @property
    def has_failed(self) -> bool:
        return self.model.done() and (self.model.cancelled() or self.model.exception() is not None)

    @property
    def is_loaded(self) -> bool:
        return self.model.done() and not self.has_failed


@dataclass(frozen=True)
class Source:
    """The origin of models; both calls block, and raise the errors of `find_export` and `load_model`."""

    find: Callable[[str], Export]
    load: Callable[[Export], Model]


class ModelCache:
    """Caches the models that were used last. All of it runs in one event loop, so nothing is locked.

    One model is loaded at a time: requests for it wait until it is loaded, and other models wait for their turn.

    Args:
      capacity: Number of models in memory.
    """

    def __init__(self, source: Source, capacity: int, metrics: Metrics) -> None:
        self._source, self._capacity, self._metrics = source, capacity, metrics
        self._entries: OrderedDict[str, CacheEntry] = OrderedDict()
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")

    async def get(self, run: str) -> Model:
        """Return the run's model; load it if necessary. Raises the errors of the source."""
        entry = self._entries.get(run)
        if entry is None or entry.has_failed or time.monotonic() - entry.checked_at >= _FRESH_SEC:
            entry = await self._refresh(run, entry)
        if run in self._entries:
            self._entries.move_to_end(run)
        return await asyncio.shield(entry.model)

    def loaded_at(self, export: Export) -> str | None:
        """Return the time since which an export is in memory, None if it is not."""
        entry = self._entries.get(export.run)
        if entry is None or not entry.is_loaded or entry.export.digest != export.digest:
            return None
        return entry.model.result().loaded_at

    async def _refresh(self, run: str, entry: CacheEntry | None) -> CacheEntry:
        """Look the export up in the store; while the store does not answer, a loaded entry stays valid."""
        if entry:
            entry.checked_at = time.monotonic()  # so that of several requests at once only one looks it up
        try:
            export = await asyncio.to_thread(self._source.find, run)
        except MissingKey:
            self._entries.pop(run, None)
            self._count_models()
            raise
        except TransientError:
            if entry is None or entry.has_failed:
                raise
            return entry
        newest = self._entries.get(run)
        if newest and not newest.has_failed and newest.export.digest == export.digest:
            return newest
        return self._add(export)

    def _add(self, export: Export) -> CacheEntry:
        self._entries.pop(export.run, None)
        while len(self._entries) >= self._capacity:
            self._entries.popitem(last=False)
        model = asyncio.get_running_loop().run_in_executor(self._loader, self._load, export)
        model.add_done_callback(lambda _: self._count_models())
        entry = CacheEntry(export, time.monotonic(), model)
        self._entries[export.run] = entry
        return entry

    def _load(self, export: Export) -> Model:
        gc.collect()  # a SavedModel refers to itself: without this, an evicted model stays in memory for a while
        start_time = time.monotonic()
        model = self._source.load(export)
        seconds = time.monotonic() - start_time
        self._metrics.loading.observe(seconds)
        event("model_loaded", run=export.run, export=export.digest[:8], duration_sec=round(seconds, 2))
        return model

    def _count_models(self) -> None:
        self._metrics.models.set(sum(entry.is_loaded for entry in self._entries.values()))


class WarmUp:
    """Loads models at the start; a model that cannot be loaded is tried again until it can.

    Attributes:
      missing_runs: Runs whose models are not loaded yet.
    """

    def __init__(self, runs: Sequence[str]) -> None:
        self.missing_runs = set(runs)

    async def load(self, models: ModelCache) -> None:
        await asyncio.gather(*(self._load(models, run) for run in sorted(self.missing_runs)))

    async def _load(self, models: ModelCache, run: str) -> None:
        while run in self.missing_runs:
            try:
                await models.get(run)
                self.missing_runs.discard(run)
            except SlipwayError as error:
                event("model_not_loaded", logging.WARNING, run=run, reason=str(error))
                await asyncio.sleep(_RETRY_SEC)
