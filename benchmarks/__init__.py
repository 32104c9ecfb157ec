"""Where the numbers come from: each is a ratio to something measured in the same run."""
