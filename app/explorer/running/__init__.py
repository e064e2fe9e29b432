"""The processes beside the pages: the line of computations, the worker that does them, and every child process."""
