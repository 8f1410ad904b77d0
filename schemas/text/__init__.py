"""Text: its normal form, its lines, and how it is shown, masked and written."""
