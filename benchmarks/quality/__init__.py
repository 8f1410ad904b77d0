"""The quality rules beside datatrove's own filters, document by document."""
