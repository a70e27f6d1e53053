"""Run the benchmarks and print their tables; run it with nothing else running.

    python -m benchmarks [DATA] [--service]

DATA is the folder of the public sets: with it, how well copies are found is measured too. With
--service, the service is measured last, which takes half an hour; its exit code is 1 where it did
not pass. The benchmarks of trained models, `refusal` and `study`, are run by themselves.
"""

import argparse
from pathlib import Path

from benchmarks import bad_input, cold_start, duplicates, kernel, reading, service

parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
parser.add_argument("data", type=Path, nargs="?", help="folder of the public sets")
parser.add_argument("--service", action="store_true", help="measure the service too")
given = parser.parse_args()
for benchmark in (kernel, cold_start, bad_input):
    benchmark.main()
reading.main([])
if given.data is not None:
    duplicates.measure(given.data)
if given.service:
    service.main([])
