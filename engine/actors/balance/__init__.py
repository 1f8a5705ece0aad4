"""Balances: one actor for each account, the order in which they are refreshed, and what is kept on disk."""
