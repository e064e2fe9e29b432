"""A runner for computations that yield their progress."""


def run_steps(steps, said=None):
    """Run steps to their end and return their result; (done, total) of every step goes into `said`."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        if said is not None:
            said.append(step)
