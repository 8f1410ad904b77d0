"""Tokens: SentencePiece, the formats of published systems, full-sentence packing, shard files."""
