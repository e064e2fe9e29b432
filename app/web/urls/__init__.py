"""The URLs of every link: templates never glue one by hand.

Knows the grammar of addresses and queries, not the pages behind them.
"""
