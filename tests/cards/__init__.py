"""The cards by themselves in a real browser, handed what Home Assistant would hand them."""
