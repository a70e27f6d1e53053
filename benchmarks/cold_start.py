"""Wall time of whole commands in fresh processes, beside an empty Python process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from slicewise.synthetic.phantom_files import write_phantoms

ROUNDS = 7


def seconds(command: list[str]) -> list[float]:
    """Wall time of a command, several times after one warm-up."""
    times = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return times[1:]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        picture = str(write_phantoms(Path(folder), 1, 1)[0])
        series = Path(folder) / "series"
        write_phantoms(Path(folder), 1, 1)
        predict = [sys.executable, "-c", "from slicewise.cli.main import main; main()", "predict"]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "import slicewise": [sys.executable, "-c", "import slicewise"],
            "slicewise --help": [*predict[:-1], "--help"],
            "slicewise predict one.png": [*predict, picture],
            "slicewise predict series/ (12 DICOM slices)": [*predict, str(series)],
        }
        print(f"\nCold start, fresh process each, {ROUNDS} runs: median (min-max)")
        for name, command in commands.items():
            found = seconds(command)
            middle = statistics.median(found)
            print(f"  {name:<46} {middle:6.3f} s ({min(found):.3f}-{max(found):.3f})")


if __name__ == "__main__":
    main()
