"""The brain: schedules and profiles made into what is deployed. Pure; knows no Home Assistant."""
