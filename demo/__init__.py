"""The whole of Skylapse on one machine: broker, cameras, processor and a real Home Assistant."""
