"""Where images come from: the bundled MNIST, files, and data prepared by TFDS."""
