"""Balances: one actor for each account, when each is refreshed, and what is kept of them."""
