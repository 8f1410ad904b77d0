"""Readers: bytes in the outside world to nouns."""
