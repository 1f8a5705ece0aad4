"""The engine as a service: dashboard, metrics, health, and a gateway that speaks Kraken's protocol (extra ``[web]``).

It sees only what the engine publishes and its public methods. `serving` runs it; `place` says where its socket is, and
imports nothing that is optional.
"""
