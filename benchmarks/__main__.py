"""Run every benchmark and print its table. Run it with nothing else running."""

from benchmarks import bad_input, cold_start, kernel

for benchmark in (kernel, cold_start, bad_input):
    benchmark.main()
