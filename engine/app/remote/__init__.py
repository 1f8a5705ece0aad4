"""An engine from another process: values as JSON, the connections to its service, and `RemoteEngine`."""
