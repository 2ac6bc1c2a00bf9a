"""Recall: finds what was said, decided and learned, and packs it for an agent.

`pipeline.search` answers a question over the ports of `ports`; `pack.pack` puts what is
worth knowing into a token budget.
"""
