"""Which node of a cluster serves a lane: the life of a lane at a node, and how lanes spread over nodes."""
