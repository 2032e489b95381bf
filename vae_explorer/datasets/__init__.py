"""Where images come from: everything here ends at uint8 images on the device and never looks at a model."""
