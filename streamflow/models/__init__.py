"""Models: the only room that knows River. Imported when a flow with a model is built."""
