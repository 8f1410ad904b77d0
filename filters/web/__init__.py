"""Decisions on what the web says of a page: its address, its record, its consent."""
