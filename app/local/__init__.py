"""AWS on this machine, for development only: nothing outside this package imports it."""
