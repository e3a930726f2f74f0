"""Reading a data root without building: what is in it, and everything that is wrong with it."""
