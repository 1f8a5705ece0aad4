"""What the dashboard is fed with: the engine's events, what is asked for while somebody looks, and the stream of it."""
