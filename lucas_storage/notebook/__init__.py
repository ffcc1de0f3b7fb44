"""What notebooks add: the IPython extension, and how values are shown there."""
