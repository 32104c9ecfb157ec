"""The model process: hosts one model class and speaks with the daemon over an inherited socket."""
