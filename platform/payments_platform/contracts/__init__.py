"""Every dataset described once: grain, key, columns, types, units, PII class, retention, rules. One file per domain."""
