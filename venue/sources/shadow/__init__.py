"""Another venue's markets: books mirrored live, orders traded on paper here, settled by its outcomes."""
