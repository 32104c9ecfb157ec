"""Every verb of the client, written once without I/O: generators that yield effects for a shell to perform."""
