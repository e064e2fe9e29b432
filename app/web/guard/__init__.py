"""Guards before the routes: limits on connections and requests, refusals, and who each request is from."""
