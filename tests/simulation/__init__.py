"""The simulated world: a whole server, its users and its machine, decided by one seed."""
