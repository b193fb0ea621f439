"""The whole of Skylapse, in a real Home Assistant and a real browser, and without them under attack."""
