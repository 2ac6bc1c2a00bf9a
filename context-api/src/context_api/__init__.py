"""The hub: the Context API over its stores."""
