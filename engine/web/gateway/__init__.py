"""The gateway: Kraken's own protocol, so that any client shares the one lane by another URL and other credentials."""
