"""Decisions: `rule(item, rules) -> Keep | Drop`. Pure: no Beam, no network, no logging."""
