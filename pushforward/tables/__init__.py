"""Tables: columns of different kinds, the schema that turns rows into cells, networks, p(row | z)."""
