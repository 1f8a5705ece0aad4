"""pykka made safe: actors, mailboxes, timers, supervision and isolation. It knows nothing of Kraken."""
