"""The trainer: a loader that reads shards, the KOSMOS-1 model in PyTorch and in JAX."""
