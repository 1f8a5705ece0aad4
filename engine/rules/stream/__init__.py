"""What is decided about push: pure."""
