"""Benchmark items planted in clean prose, and what `curate decontaminate` finds of them."""
