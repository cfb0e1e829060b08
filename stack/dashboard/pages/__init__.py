"""The pages, rendered on the server; parts of them are sent again as things change."""
