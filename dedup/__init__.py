"""Text to what duplicates are found by: words, MinHash signatures, bands, clusters."""
