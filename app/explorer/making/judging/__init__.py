"""What is judged beside random directions: controls, readable rays, whole models."""
