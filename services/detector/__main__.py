"""``python -m services.detector``: the same entry in a pod and on a laptop."""

from slipway.stage.runner import leave, run_stage

from services.detector.service import detect

if __name__ == "__main__":
    leave(run_stage("detect", detect))
