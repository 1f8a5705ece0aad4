"""What a person may do from the page where it is allowed. Each action is confirmed, and is an event with who did it."""
