"""A run's folder: what is written while a run trains, and read when it goes on."""
