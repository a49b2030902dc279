"""Judging a run: what its latencies were and how sure that is, whether an SLO held, and whether the run is valid."""
