"""Fetching and decoding images, beside img2dataset."""

SIZE, QUALITY = 224, 95
"""Side of the stored squares, and of their JPEG."""
