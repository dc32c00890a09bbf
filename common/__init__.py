"""What every room needs and none owns: errors, files, tables. Imports neither JAX nor TFDS."""
