"""The run directory: its parts, its plan, and what may be made anew. No Beam."""
