"""What the first release stored and showed, and that the code loads it and continues."""
