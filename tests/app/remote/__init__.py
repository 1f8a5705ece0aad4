"""An engine from other processes."""
