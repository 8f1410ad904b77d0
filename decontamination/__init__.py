"""Finding benchmark items in documents, and cutting them out."""
