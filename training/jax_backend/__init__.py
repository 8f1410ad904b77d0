"""The same model and training in JAX, with Flax and Optax."""
