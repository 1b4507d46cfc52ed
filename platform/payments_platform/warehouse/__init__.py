"""Landing loads and load times behind one protocol that every warehouse engine fulfils."""
