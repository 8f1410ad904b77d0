"""The KOSMOS-1 model and its training in PyTorch."""
