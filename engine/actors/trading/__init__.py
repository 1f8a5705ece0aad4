"""Trading: takes an account through its gates."""
