"""Work that outlives a request: noted while it goes on, and run one after the other in processes of their own."""
