"""Loading of transactions that come as a file: read, judge each row, write the good ones in one transaction."""
