"""The pages, rendered on the server; parts of them are sent anew as things change."""
