"""Single stages by themselves, over files."""
