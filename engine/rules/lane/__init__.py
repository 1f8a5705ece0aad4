"""The rules of the lane: nonces, priorities, admission, retries and the circuit breaker of a key."""
