"""HTML to documents: text and images in reading order."""

from extraction.extract import extract

__all__ = ["extract"]
