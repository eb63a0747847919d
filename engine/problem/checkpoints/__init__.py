"""Models trained elsewhere: files and folders of named tensors, as the ecosystem writes them."""
