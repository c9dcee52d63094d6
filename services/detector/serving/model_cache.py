"""The models in memory: loaded when first asked for, and so many of them."""

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

_FRESH_SEC = 60.0  # a run that was deleted and made anew under the same name is noticed after that
_AGAIN_SEC = 10.0


@dataclass
class _Place:
    export: Export
    looked_at: float
    model: asyncio.Future[Model]

    @property
    def has_failed(self) -> bool:
        return self.model.done() and (self.model.cancelled() or self.model.exception() is not None)


@dataclass(frozen=True)
class Source:
    """Where models come from; both calls block, and raise what `exports` says."""

    find: Callable[[str], Export]
    load: Callable[[Export], Model]


class Shelf:
    """Keeps the `most` models that were asked for last. All of it happens in one event loop, so nothing is locked.

    One model is loaded at a time: whoever asks for it meanwhile waits for that, and other models for their turn.
    """

    def __init__(self, source: Source, most: int, metrics: Metrics) -> None:
        self._source, self._most, self._metrics = source, most, metrics
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")

    async def get(self, run: str) -> Model:
        """Return the run's model. Raises what finding and loading it raise."""
        place = self._places.get(run)
        if place is None or place.has_failed or time.monotonic() - place.looked_at >= _FRESH_SEC:
            place = await self._look(run, place)
        if run in self._places:
            self._places.move_to_end(run)
        return await asyncio.shield(place.model)

    def loaded_at(self, export: Export) -> str | None:
        """Say since when an export is in memory."""
        place = self._places.get(export.run)
        is_here = place and place.export.digest == export.digest and place.model.done() and not place.has_failed
        return place.model.result().loaded_at if place and is_here else None

    async def _look(self, run: str, known: _Place | None) -> _Place:
        """See what the store has; while it does not answer, what is known is good."""
        if known:
            known.looked_at = time.monotonic()  # of those who come now, one looks
        try:
            export = await asyncio.to_thread(self._source.find, run)
        except MissingKey:
            self._places.pop(run, None)
            self._tell()
            raise
        except TransientError:
            if known is None or known.has_failed:
                raise
            return known
        place = self._places.get(run)
        if place and not place.has_failed and place.export.digest == export.digest:
            return place
        return self._put(export)

    def _put(self, export: Export) -> _Place:
        self._places.pop(export.run, None)
        while len(self._places) >= self._most:
            self._places.popitem(last=False)
        loading = asyncio.get_running_loop().run_in_executor(self._loader, self._load, export)
        loading.add_done_callback(lambda _: self._tell())
        place = _Place(export, time.monotonic(), loading)
        self._places[export.run] = place
        return place

    def _load(self, export: Export) -> Model:
        gc.collect()  # a SavedModel refers to itself: one that made room would stay until the collector comes by
        started = time.monotonic()
        model = self._source.load(export)
        seconds = time.monotonic() - started
        self._metrics.loading.observe(seconds)
        event("model_loaded", run=export.run, export=export.digest[:8], duration_sec=round(seconds, 2))
        return model

    def _tell(self) -> None:
        self._metrics.models.set(sum(p.model.done() and not p.has_failed for p in self._places.values()))


class WarmUp:
    """Loads models at the start; what cannot be loaded is tried again until it can.

    Attributes:
      missing: Runs whose models are not there yet.
    """

    def __init__(self, runs: Sequence[str]) -> None:
        self.missing = set(runs)

    async def load(self, shelf: Shelf) -> None:
        await asyncio.gather(*(self._load(shelf, run) for run in sorted(self.missing)))

    async def _load(self, shelf: Shelf, run: str) -> None:
        while run in self.missing:
            try:
                await shelf.get(run)
                self.missing.discard(run)
            except SlipwayError as error:
                event("model_not_loaded", logging.WARNING, run=run, reason=str(error))
                await asyncio.sleep(_AGAIN_SEC)
