"""The engine behind other libraries' interfaces: krakenex, ccxt and python-kraken-sdk, in the process of the bot.

Each module imports only the library that it adapts. None holds a secret, a nonce or a host: private calls go through
the engine's lane, public calls past it, and orders are placements, so that a host's retry leaves one order.
"""
