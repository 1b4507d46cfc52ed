"""One connect() per system; imports are lazy so that loading definitions pays for none of them."""
