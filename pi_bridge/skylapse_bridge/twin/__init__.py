"""The twin: a computed camera whose truth is known. Reading order: light, weather, scene, sensor, ramp, write."""
