"""The recipe: what a run is asked to do, a file for each family of settings."""
