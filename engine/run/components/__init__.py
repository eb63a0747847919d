"""Many models: trained once, joined by few searches, and told in a disconnectivity graph."""
