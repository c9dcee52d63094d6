"""``python -m services.trainer``: the same entry in a pod and on a laptop."""

from slipway.stage.runner import leave, run_stage

from services.trainer.service import train

if __name__ == "__main__":
    leave(run_stage("train", train, graceful=True))
