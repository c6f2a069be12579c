"""MinMaxScaler | HalfSpaceTrees per device on JSON bytes, against Bytewax and River per record."""
