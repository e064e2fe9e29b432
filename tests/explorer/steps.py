"""Computations that say how far they are, run to their end."""


def ended(steps, said=None):
    """What is given at the end; (done, total) of every step goes into `said`."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        if said is not None:
            said.append(step)
