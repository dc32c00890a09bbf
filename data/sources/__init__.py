"""Sources of images: the bundled MNIST, files, and data prepared by TFDS."""
