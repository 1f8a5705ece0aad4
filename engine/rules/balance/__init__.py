"""The rules of balances: snapshots, availability, when to refresh, polling, cash and history."""
