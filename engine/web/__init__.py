"""The engine as a service: dashboard, metrics, health, and a gateway that speaks Kraken's protocol (extra ``[web]``).

It uses the engine's public methods and events only. `serving` runs it; `unix_socket` says where its socket is, and
imports no optional package.
"""
