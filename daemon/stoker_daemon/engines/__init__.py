"""What does the work: one adapter for each kind of engine, none of which knows another."""
