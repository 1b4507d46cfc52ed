"""What people recorded about quarantined rows; the rows themselves are made with clean."""
