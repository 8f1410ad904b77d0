"""The nouns of the project: what flows between stages, and nothing that decides or does."""
