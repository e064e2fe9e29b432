"""What a visitor named, checked."""
