"""The durable queue in one SQLite file: all SQL of the project lives here."""
