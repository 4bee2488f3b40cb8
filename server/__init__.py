"""HTTP: REST, streams, pages."""
