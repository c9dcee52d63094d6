"""``python -m services.preprocess``: the same entry in a pod and on a laptop."""

from slipway.stage.runner import run_stage

from services.preprocess.service import preprocess

if __name__ == "__main__":
    raise SystemExit(run_stage("preprocess", preprocess))
