"""Comparison of HTML extractors, and training of ours."""
