"""Long work that outlives a request: jobs, noted while they run, one after the other in processes of their own."""
