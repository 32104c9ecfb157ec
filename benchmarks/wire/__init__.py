"""What keys cost, how fast events arrive, and whether a hundred listeners lose any."""
