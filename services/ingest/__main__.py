"""``python -m services.ingest``: the same entry in a pod and on a laptop."""

from slipway.stage.runner import run_stage

from services.ingest.service import ingest

if __name__ == "__main__":
    raise SystemExit(run_stage("ingest", ingest))
