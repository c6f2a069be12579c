"""The report: one HTML page that shows what a flow saw, raised and missed."""
