"""Stages on images: where each comes from, its bytes, its copies, its scores."""
