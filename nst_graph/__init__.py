"""Optimisation-based neural style transfer as a TensorFlow graph-mode pipeline."""

__version__ = "0.1.0"
