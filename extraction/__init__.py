"""HTML to documents: text and images in reading order."""

from curate.extraction.extract import extract

__all__ = ["extract"]
