"""Each peer as its users would measure it, a script a peer: they run in environments of their own, without Stoker."""
