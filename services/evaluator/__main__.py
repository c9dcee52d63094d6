"""``python -m services.evaluator``: the same entry in a pod and on a laptop."""

from slipway.stage.runner import leave, run_stage

from services.evaluator.service import evaluate

if __name__ == "__main__":
    leave(run_stage("evaluate", evaluate))
