"""``python -m services.exporter``: the same entry in a pod and on a laptop."""

from slipway.shell import run_stage

from services.exporter.service import export

if __name__ == "__main__":
    raise SystemExit(run_stage("export", export))
