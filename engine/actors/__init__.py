"""Who acts: the only rooms that know pykka."""
