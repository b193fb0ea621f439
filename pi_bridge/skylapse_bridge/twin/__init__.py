"""The twin: a computed camera whose truth is known. Read light, weather, scene, paint, sensor, write."""
