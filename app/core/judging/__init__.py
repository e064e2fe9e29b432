"""What numbers of rays mean: beside random ones, over many, in words."""
