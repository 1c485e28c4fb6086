"""Another venue's markets in its own books: mirrored live, traded on paper here, settled by its outcomes."""
