"""Rows of shards in order, mixed and batched, for any trainer."""
