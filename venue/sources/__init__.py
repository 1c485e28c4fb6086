"""Sources of a venue's books and outcomes. Each source is one module that implements `base.MarketSource`."""
