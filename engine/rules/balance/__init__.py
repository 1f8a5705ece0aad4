"""The rules of balances: snapshots, availability, polling and history."""
