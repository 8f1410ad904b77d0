"""Fetching and decoding images, beside img2dataset."""
