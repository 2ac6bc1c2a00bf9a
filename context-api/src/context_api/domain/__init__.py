"""Who may do what: pure rules of the hub."""
