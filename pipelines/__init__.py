"""Beam pipelines: one stage per file; wiring, labels, counters and keys, and nothing else."""
