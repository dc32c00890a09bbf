"""Networks of group convolutions, one publication a file."""
