"""The words of the library as types: batches, events, state, stages. Imports numpy only."""
