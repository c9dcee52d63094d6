"""``python -m services.exporter``: the same entry in a pod and on a laptop."""

from slipway.stage.runner import leave, run_stage

from services.exporter.service import export

if __name__ == "__main__":
    leave(run_stage("export", export))
