"""The only door to the network: requests over one connection of our own, under one deadline."""

from engine.transport.address import Base, check_proxy, check_url
from engine.transport.resolver import Resolver
from engine.transport.session import HttpReply, Transport, TransportPool

__all__ = ["Base", "HttpReply", "Resolver", "Transport", "TransportPool", "check_proxy", "check_url"]
