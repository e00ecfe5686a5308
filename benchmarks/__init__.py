"""What Limen costs, beside what its peers cost, in the same run: `make bench`, or `make bench ONLY=http`.

Reading order: `measure` (clocks, rounds, verdicts) · `processes`, `environment` (who is measured) · `load` (who asks) ·
then one file a topic, each with a `run(report)`. docs/benchmarks.md says what the figures mean.
"""
