"""What is told of a run: statistics, the report, shards and rows, a URL's way."""
