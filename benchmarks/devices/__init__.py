"""A million devices with 100 bytes of state each, against a Bytewax key per device."""
