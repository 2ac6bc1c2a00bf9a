"""The agent: one process that keeps all replicas of a user in step with their hubs."""
