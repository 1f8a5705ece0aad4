"""The private lane: one owner of the nonces, one private call at a time."""
