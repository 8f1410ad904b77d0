"""Stages on text: documents of the inputs, repeated lines, benchmarks' items."""
