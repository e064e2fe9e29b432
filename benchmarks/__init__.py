"""The benchmarks: each file answers one question about speed or memory, beside the tools that one would use instead."""
