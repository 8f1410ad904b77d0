"""Where pipelines run: the engines, their workers and their failures."""
