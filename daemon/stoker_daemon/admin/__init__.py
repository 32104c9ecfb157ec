"""What an operator runs on the daemon's host: back up, restore, check."""
