"""A folder of the hub as files: what it holds, each believed only within bounds."""
