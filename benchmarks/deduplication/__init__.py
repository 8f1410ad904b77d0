"""De-duplication at scale: memory and time by number of documents, and datatrove beside it."""
