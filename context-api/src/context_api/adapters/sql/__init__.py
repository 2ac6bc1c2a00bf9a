"""The log and its read models in a relational database."""
