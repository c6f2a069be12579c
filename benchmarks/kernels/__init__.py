"""Each compiled estimator, bare and in its stage, against River's own loop."""
