"""Push: Kraken's WebSocket, one thread and one socket for each account. Only `connection` imports websockets."""
