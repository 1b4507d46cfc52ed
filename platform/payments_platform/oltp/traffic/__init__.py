"""Live traffic: small transactions of the application, at the present moment and at a steady rate."""
