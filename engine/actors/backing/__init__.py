"""What an engine keeps and owns on one machine, and how a journal of orders is laid out."""
