"""Speed of training on real shapes."""
