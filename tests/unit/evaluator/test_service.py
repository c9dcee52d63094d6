"""An evaluator with nothing to measure."""

import threading

from slipway.run.spec import TrainingRun
from slipway.stage.runner import StageParams
from slipway.store.folder import FolderStore

from services.evaluator.service import evaluate


def test_evaluator_beside_another_worker_than_the_first_waits_to_be_stopped(tmp_path):
    stopping, results = threading.Event(), []
    run = TrainingRun.model_validate({"metadata": {"name": "ponds"}, "spec": {"dataset": {"source": "/ponds"}}})
    params = StageParams(run, 1, tmp_path, stopping)
    waiting = threading.Thread(target=lambda: results.append(evaluate(params, FolderStore(tmp_path))))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    stopping.set()
    waiting.join(5)
    assert results == [None]
