"""Decisions: `rule(item, rules) -> Keep | Drop`. Pure functions, no Beam, no network, no logging."""
