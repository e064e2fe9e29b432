"""The storage that outlives the process: artifacts, jobs and their locks on disk. Knows no model and no request."""
