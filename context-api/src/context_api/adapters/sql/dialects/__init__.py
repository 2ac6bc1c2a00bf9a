"""One module for each database: how it is opened, read and written."""
