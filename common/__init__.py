"""Tools of every room: errors, files, tables. Imports neither JAX nor TFDS."""
