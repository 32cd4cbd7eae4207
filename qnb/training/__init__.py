"""What models share: the Model protocol, the fit context, the training loop."""
