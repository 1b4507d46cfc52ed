"""The commands of `payments`, one thin module per group: parse, call a room, print. No logic of a room."""
