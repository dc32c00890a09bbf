"""A page to play with trained models: draw, move and cut up an image, and see what they make of it.

python -m playground zoo:cnn_max_blur3 runs/capsnet_mnist
"""
