"""The steps of stage `duplicates`, each from files to files."""
