import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_help_imports_nothing_heavy():
    heavy = {"pydantic", "yaml", "minio", "tensorflow"}
    code = f"import sys, services.cli.main; print(sorted({heavy} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}"}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
