"""How well the detectors find what is labelled, strictly online, beside River's and simple ones."""
