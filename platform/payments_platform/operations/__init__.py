"""What watches the platform: error classes, phase times, alert rules, ledger."""
