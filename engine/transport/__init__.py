"""REST over HTTPS: `requests` over our own connections, each exchange under one deadline.

The one package that imports requests. Push connections, the web service and the simulator open sockets of their own.
"""

from engine.transport.address import Base, check_proxy, check_url
from engine.transport.framing import HttpReply
from engine.transport.pool import TransportPool
from engine.transport.resolver import Resolver
from engine.transport.session import Transport
from engine.transport.tls import tls_context

__all__ = ["Base", "HttpReply", "Resolver", "Transport", "TransportPool", "check_proxy", "check_url", "tls_context"]
