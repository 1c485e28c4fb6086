"""Where a venue's books and outcomes come from. Each source is one module that implements `base.Source`."""
