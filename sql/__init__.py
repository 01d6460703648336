"""How raw rows become usage, and how booked rows become what analysts read; one model a file."""
