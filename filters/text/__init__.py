"""Decisions on text, a file for each published family of rules."""
