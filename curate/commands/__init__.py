"""The commands of `curate`, by what they work on."""
