"""The rules of orders: validation, states, and how a lost order is reconciled."""
