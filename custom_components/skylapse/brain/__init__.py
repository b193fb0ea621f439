"""The brain: pure rooms that turn schedules and profiles into what is deployed. No clock, no socket, no Home Assistant."""
