"""``python -m services.detector``: the same entry in a pod and on a laptop."""

from slipway.shell import run_stage

from services.detector.service import detect

if __name__ == "__main__":
    raise SystemExit(run_stage("detect", detect))
