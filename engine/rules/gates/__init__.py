"""The gates between a signal and an order: the plan, the view of the market, and each verdict."""
